//! Disks without room: of a broker with a file, and of a Redis server that saves.

use anyhow::Result;

use super::services::{ServiceName, each};
use super::trouble::set;
use crate::managed::ManagedCluster;

/// Fills the disk of a process; has a Redis server try to save each second.
///
/// # Errors
/// When its data are on no disk of their own, or the server does not take the setting.
pub(super) fn fill(name: &ServiceName, cluster: &mut ManagedCluster) -> Result<()> {
    each(cluster, &[*name], |service| {
        service.disk()?.fill()?;
        if matches!(name, ServiceName::Node(..)) { set(service, &[("save", "1 1")]) } else { Ok(()) }
    })
}

/// Gives its room back. A Redis server that has ended is started again: a replica ends itself when it may not write.
///
/// # Errors
/// As [`fill`]; when it cannot be started.
pub(super) fn clear(name: &ServiceName, cluster: &mut ManagedCluster) -> Result<()> {
    each(cluster, &[*name], |service| {
        service.disk()?.clear()?;
        if !matches!(name, ServiceName::Node(..)) {
            return Ok(());
        }
        if !service.is_running() {
            service.restart()?;
        }
        set(service, &[("save", "")])
    })
}
