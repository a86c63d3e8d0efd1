//! Sending commands to a broker, one after the other.

use control_core::Command;
use tokio::sync::mpsc;
use tracing::field::display;
use tracing::{debug, info, warn};

use super::finished::Finished;
use crate::coordinator::metadata::{MetadataError, MetadataSource};
use crate::store::{Subject, subject};

/// Sends commands one after the other: each may decide what becomes of the next.
pub(super) async fn apply_all<M: MetadataSource>(
    metadata: M,
    commands: Vec<Command>,
    finished: mpsc::UnboundedSender<Finished>,
) {
    let mut denied = None;
    for command in commands {
        let ends_an_outage = command.ends_an_outage();
        let outcome = apply_one(&metadata, command).await;
        if let Err(error) = outcome {
            denied = match error {
                MetadataError::NotAllowed(reason) => Some(reason),
                MetadataError::Refused(_) | MetadataError::Unreachable(_) => None,
            };
            break;
        }
        if ends_an_outage {
            // Its proxy is told at once, and not when all the others have been committed, too.
            let _ = finished.send(Finished::Promotion);
        }
    }
    let _ = finished.send(Finished::Commands { denied });
}

/// Sends a command; an error if it is of no use to send more of them. That it is not wanted any more is none.
pub(super) async fn apply_one<M: MetadataSource>(
    metadata: &M,
    command: Command,
) -> Result<(), MetadataError> {
    let told = format!("{command:?}");
    let Subject { kind, cluster, address } = subject(&command);
    match metadata.apply(command).await {
        Ok(reply) => info!(command = told, ?reply, "done"),
        Err(error @ MetadataError::Refused(_)) => debug!(command = told, %error, "not wanted any more"),
        Err(error) => {
            let (cluster, address) = (cluster.map(display), address.map(display));
            warn!(kind, cluster, address, %error, "the metadata was not changed; this is tried again");
            return Err(error);
        }
    }
    Ok(())
}
