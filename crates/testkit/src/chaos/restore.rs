//! The metadata lost, and put back from a dump that was taken earlier, as docs/broker.md says.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use control_core::State;

use super::orders::order;
use crate::managed::ManagedCluster;
use crate::managed::service::Service;

/// The code of a dump that is older than what is there: an answer to an earlier attempt was lost, and the review that
/// followed has raised the epochs.
const OLDER: &str = "EPOCH_SMALLER_THAN_CURRENT";

/// Ends all brokers, removes what they keep, and starts them again with the dump.
///
/// # Errors
/// When a process cannot be started or its files not be removed, or brokers do not take the dump.
pub(super) fn restore(cluster: &mut ManagedCluster, dump: &State) -> Result<()> {
    cluster.brokers.iter_mut().for_each(Service::kill);
    match &mut cluster.etcd {
        Some(etcd) => {
            etcd.kill();
            remove(etcd, "data")?;
            etcd.restart()?;
            etcd.wait_listening()?;
        }
        None => {
            for broker in &cluster.brokers {
                remove(broker, "data/undermoon-metadata.redb")?;
                remove(broker, "undermoon-metadata.redb")?;
            }
        }
    }
    for broker in &mut cluster.brokers {
        broker.restart()?;
    }
    for broker in &mut cluster.brokers {
        broker.wait_listening()?;
    }
    order(cluster, "the dump is restored", &[OLDER], |cluster, _| {
        cluster.block_on(cluster.client().restore(dump))
    })
}

/// Removes a file or a folder of a process; harmless when it is not there.
fn remove(service: &Service, name: &str) -> Result<()> {
    let path = service.directory().join(name);
    let outcome = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
