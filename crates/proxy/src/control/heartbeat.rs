//! Asking a primary whether the replica that the metadata names has what the primary has: again and again over a line of
//! one pair, or once when the primary has stopped.

use std::time::Duration;

use keeper::Ticket;
use model::Address;
use proxy_core::settings::Secret;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::acknowledge::{acknowledges, resolve};
use super::event::Event;
use super::node_client::{NodeClient, NodeError};

/// How long the replica may take to acknowledge.
const ACKNOWLEDGE_MAX: Duration = Duration::from_millis(200);
/// How long the primary may take for each answer to a heartbeat, and to the question when it has stopped.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(500);
const HANDOVER_LIMIT: Duration = Duration::from_millis(200);
/// Channels that nobody listens to.
const HEARTBEAT_CHANNEL: &[u8] = b"__undermoon:heartbeat";
const HANDOVER_CHANNEL: &[u8] = b"__undermoon:handover";

/// A primary and its replica.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) primary: Address,
    pub(super) replica: Address,
    pub(super) password: Option<Secret>,
}

/// The task of one pair.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) pair: Pair,
    pub(super) asks: UnboundedReceiver<Ticket>,
    pub(super) events: UnboundedSender<Event>,
}

/// A connection to the primary, and what the replica's name stands for.
type Held = Option<(NodeClient, keeper::NamedReplica)>;

impl Heartbeat {
    /// Asks what it is told to; ends by being aborted.
    pub(super) async fn run(mut self) {
        let mut held = None;
        while let Some(ask) = self.asks.recv().await {
            // What goes wrong here the node's visits report.
            let has_acknowledged = self.ask(&mut held).await.unwrap_or(false);
            if !has_acknowledged {
                // The connection may be broken, and the replica may have moved to another address.
                held = None;
            }
            // The control thread outlives its tasks.
            let _ = self.events.send(Event::Keeper(keeper::Event::Asked { ask, has_acknowledged }));
        }
    }

    async fn ask(&self, held: &mut Held) -> Result<bool, NodeError> {
        let (client, replica) = match held {
            Some(held) => held,
            None => held.insert(self.pair.connect(HEARTBEAT_LIMIT).await?),
        };
        acknowledges(client, replica, HEARTBEAT_CHANNEL, ACKNOWLEDGE_MAX).await
    }
}

impl Pair {
    async fn connect(&self, limit: Duration) -> Result<(NodeClient, keeper::NamedReplica), NodeError> {
        let client = NodeClient::connect(&self.primary, self.password.as_ref(), limit).await?;
        Ok((client, resolve(&self.replica).await?))
    }

    /// Whether the replica acknowledges what this primary, which has stopped, has now.
    pub(super) async fn is_replicated(&self) -> bool {
        let asked = async {
            let (mut client, replica) = self.connect(HANDOVER_LIMIT).await?;
            acknowledges(&mut client, &replica, HANDOVER_CHANNEL, ACKNOWLEDGE_MAX).await
        };
        let outcome: Result<bool, NodeError> = asked.await;
        outcome.unwrap_or(false)
    }
}
