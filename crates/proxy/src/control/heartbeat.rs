//! Asking whether the replica that the metadata names has what its primary has: again and again over the lines of one pair,
//! or once when the primary has stopped.

use std::time::{Duration, Instant};

use keeper::Ticket;
use link::LinkError;
use model::Address;
use proxy_core::settings::Password;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tracing::{info, warn};

use super::acknowledge::{place, reaches};
use super::event::Event;
use super::node_client::NodeClient;

/// How long the replica may take until it has everything.
const ACKNOWLEDGE_MAX: Duration = Duration::from_millis(200);
/// How long the primary may take for each answer to a heartbeat, and to the question when it has stopped.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(500);
const HANDOVER_LIMIT: Duration = Duration::from_millis(200);
/// How long the replica may take for each answer.
const REPLICA_LIMIT: Duration = Duration::from_millis(200);
/// Channels that nobody listens to.
const HEARTBEAT_CHANNEL: &[u8] = b"__undermoon:heartbeat";
const HANDOVER_CHANNEL: &[u8] = b"__undermoon:handover";
/// After so many heartbeats in a row without the replica's word the log says why.
const MISSED_BEFORE_TOLD: u32 = 10;

/// A primary and its replica.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) primary: Address,
    pub(super) replica: Address,
    pub(super) password: Option<Password>,
}

/// The task of one pair.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) pair: Pair,
    pub(super) asks: UnboundedReceiver<Ticket>,
    pub(super) events: UnboundedSender<Event>,
}

/// Why it is not known that the replica has everything.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error("its primary does not say how far it is: {0}")]
    Primary(LinkError),
    #[error("this proxy cannot ask it: {0}")]
    Replica(LinkError),
    #[error("it says that it does not follow its primary, or has not everything")]
    Behind,
}

/// Connections to both.
#[derive(Debug, Default)]
struct Lines {
    primary: Option<NodeClient>,
    replica: Option<NodeClient>,
}

impl Heartbeat {
    /// Asks what it is told to; ends by being aborted.
    pub(super) async fn run(mut self) {
        let (mut lines, mut missed) = (Lines::default(), 0_u32);
        while let Some(ask) = self.asks.recv().await {
            let begun = Instant::now();
            let outcome = self.pair.ask(&mut lines, HEARTBEAT_LIMIT, HEARTBEAT_CHANNEL).await;
            let has_acknowledged = outcome.is_ok();
            let replica_after = outcome.as_ref().map_or(Duration::ZERO, |asked| asked.duration_since(begun));
            let replica = &self.pair.replica;
            match outcome {
                Ok(_) if missed >= MISSED_BEFORE_TOLD => info!(%replica, "a replica is attached again"),
                Err(reason) if missed + 1 == MISSED_BEFORE_TOLD => {
                    warn!(%replica, %reason, "a replica is not attached: its primary serves by its lease alone");
                }
                Ok(_) | Err(_) => {}
            }
            missed = if has_acknowledged { 0 } else { missed.saturating_add(1) };
            // The control thread outlives its tasks.
            let _ = self.events.send(Event::Keeper(keeper::Event::Asked {
                ask,
                has_acknowledged,
                replica_after,
            }));
        }
    }
}

impl Pair {
    /// Whether the replica has what this primary, which has stopped, has now.
    pub(super) async fn is_replicated(&self) -> bool {
        self.ask(&mut Lines::default(), HANDOVER_LIMIT, HANDOVER_CHANNEL).await.is_ok()
    }

    /// Whether the replica has, in a moment, what the primary has now, and when it was asked that has said so. What goes wrong
    /// on a line ends it: the next question opens another, perhaps to where the name leads by then.
    async fn ask(&self, lines: &mut Lines, limit: Duration, channel: &[u8]) -> Result<Instant, Missed> {
        let mut primary = match lines.primary.take() {
            Some(client) => client,
            None => self.connect(&self.primary, limit).await.map_err(Missed::Primary)?,
        };
        let place = place(&mut primary, channel).await.map_err(Missed::Primary)?;
        lines.primary = Some(primary);
        let mut replica = match lines.replica.take() {
            Some(client) => client,
            None => self.connect(&self.replica, REPLICA_LIMIT).await.map_err(Missed::Replica)?,
        };
        let asked = reaches(&mut replica, &place, ACKNOWLEDGE_MAX).await.map_err(Missed::Replica)?;
        let asked = asked.ok_or(Missed::Behind)?;
        lines.replica = Some(replica);
        Ok(asked)
    }

    async fn connect(&self, node: &Address, limit: Duration) -> Result<NodeClient, LinkError> {
        NodeClient::connect(node, self.password.as_ref(), limit).await
    }
}
