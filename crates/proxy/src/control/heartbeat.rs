//! Asking a primary, again and again, whether the replica that the metadata names is in touch: one task for each, with a
//! connection of its own.

use std::time::{Duration, Instant};

use model::Address;
use proxy_core::settings::Secret;
use tokio::sync::mpsc::UnboundedSender;

use super::acknowledge::{acknowledges, resolve};
use super::event::Event;
use super::node_client::{NodeClient, NodeError};

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long the replica may take to acknowledge.
const ACKNOWLEDGE_MAX: Duration = Duration::from_millis(200);
/// How long the primary may take for each answer.
const LIMIT: Duration = Duration::from_millis(500);
/// The channel.
const CHANNEL: &[u8] = b"__undermoon:heartbeat";

/// The task's equipment.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) primary: Address,
    pub(super) replica: Address,
    pub(super) password: Option<Secret>,
    pub(super) events: UnboundedSender<Event>,
}

impl Heartbeat {
    /// Asks until it is aborted. What goes wrong here the node's watch reports.
    pub(super) async fn run(self) {
        loop {
            // Never Ok: it ends only by an error.
            let _ = self.ask().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn ask(&self) -> Result<std::convert::Infallible, NodeError> {
        let mut client = NodeClient::connect(&self.primary, self.password.as_ref(), LIMIT).await?;
        let mut replica = resolve(&self.replica).await?;
        loop {
            let asked = Instant::now();
            if acknowledges(&mut client, &replica, CHANNEL, ACKNOWLEDGE_MAX).await? {
                // The control thread outlives its tasks.
                let _ = self.events.send(Event::Acknowledged(self.primary.clone(), asked));
            } else {
                // It may have moved to another address.
                replica = resolve(&self.replica).await?;
            }
            tokio::time::sleep(INTERVAL.saturating_sub(asked.elapsed())).await;
        }
    }
}
