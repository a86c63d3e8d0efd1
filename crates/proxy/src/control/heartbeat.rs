//! Asking a primary, again and again, whether a replica of it is in touch: one task for each, with a connection of
//! its own.
//!
//! INFO knows that only to the second. So something harmless is put into the replication stream (a message on a
//! channel that nobody listens to), and WAIT tells when a replica has it.

use std::time::{Duration, Instant};

use model::Address;
use proxy_core::settings::Secret;
use resp::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::event::Event;
use super::node_client::{NodeClient, NodeError};

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a replica may take to acknowledge, as WAIT takes it.
const ACKNOWLEDGE_MS: &[u8] = b"200";
/// How long the primary may take to answer.
const LIMIT: Duration = Duration::from_millis(500);
/// The channel.
const CHANNEL: &[u8] = b"__undermoon:heartbeat";

/// The task's equipment.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) primary: Address,
    pub(super) password: Option<Secret>,
    pub(super) events: UnboundedSender<Event>,
}

impl Heartbeat {
    /// Asks for ever; ends by being aborted. What goes wrong here the node's watch reports.
    pub(super) async fn run(self) {
        loop {
            // Never Ok: it ends only by an error.
            let _ = self.ask().await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn ask(&self) -> Result<std::convert::Infallible, NodeError> {
        let mut client = NodeClient::connect(&self.primary, self.password.as_ref(), LIMIT).await?;
        loop {
            let asked = Instant::now();
            client.call(&[b"PUBLISH", CHANNEL, b""]).await?;
            let reply = client.call(&[b"WAIT", b"1", ACKNOWLEDGE_MS]).await?;
            if matches!(reply.value()?, Value::Integer(replicas) if replicas > 0) {
                // The control thread outlives its tasks.
                let _ = self.events.send(Event::Acknowledged(self.primary.clone(), asked));
            }
            tokio::time::sleep(INTERVAL.saturating_sub(asked.elapsed())).await;
        }
    }
}
