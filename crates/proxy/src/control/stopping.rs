//! Primaries whose slots were taken away: what they still owe is waited for, and whether a replica has everything.
//!
//! ```text
//!   view without the slots in force ─▶ workers owe nothing (or it is given up) ─▶ a replica acknowledged ─▶ told
//! ```
//! A coordinator that hears of the view hears of all this at once: from then on the node's data do not change, and
//! no client gets an OK for a write to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Address;
use proxy_core::settings::Secret;
use tokio::sync::mpsc::UnboundedSender;

use super::acknowledge::{acknowledges, resolve};
use super::event::Event;
use super::node_client::{NodeClient, NodeError};
use super::reply_to::ReplyTo;
use super::workers::WorkersLine;

/// How long requests in flight are waited for before they are answered with an error. A node that lives answers
/// within a few milliseconds.
const DRAIN_MAX: Duration = Duration::from_millis(50);
/// Between two looks at what is in flight.
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// How long the replica may take to acknowledge.
const ACKNOWLEDGE_MAX: Duration = Duration::from_millis(200);
/// How long the node may take for each answer.
const NODE_LIMIT: Duration = Duration::from_millis(200);
/// How long whoever sent metadata waits for its effect on the nodes.
const SETTLE_MAX: Duration = Duration::from_millis(300);
/// How long clients wait for slots that are being handed over. A failover of a dead node takes less as a rule.
const HOLD: Duration = Duration::from_millis(1500);
/// A channel that nobody listens to.
const CHANNEL: &[u8] = b"__undermoon:handover";

/// Metadata that is in force and has not shown its effect on the nodes yet.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// Who waits for that, with the answer.
    waiting: Vec<(ReplyTo, Vec<u8>)>,
    /// Primaries are being stopped: so many tasks.
    stopping: usize,
    /// Counts what was applied, so that an old time-out ends nothing new.
    serial: u64,
    /// The nodes that had slots before.
    owners: Vec<Address>,
    /// Nodes that lost their slots: whether a replica has acknowledged everything.
    stopped: BTreeMap<Address, bool>,
}

/// What settling needs of the control thread.
#[derive(Debug)]
pub(super) struct SettleTools {
    /// Where its tasks report.
    pub(super) events: UnboundedSender<Event>,
    /// The workers.
    pub(super) line: WorkersLine,
    /// The nodes' password.
    pub(super) password: Option<Secret>,
    /// The replica of each node here, as far as the metadata name one.
    pub(super) replica_of: BTreeMap<Address, Address>,
}

impl Settling {
    /// Whether this node has lost its slots, and a replica had acknowledged everything after that.
    pub(super) fn is_replicated(&self, node: &Address) -> bool {
        self.stopped.get(node).copied().unwrap_or(false)
    }

    /// Whether primaries are still being stopped.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping > 0
    }

    /// Metadata is in force by which `owners` have slots: whoever sent it is answered when the nodes show it. Primaries
    /// that have lost theirs are stopped; false if there is none.
    pub(super) fn begin(
        &mut self,
        owners: Vec<Address>,
        answer: (ReplyTo, Vec<u8>),
        tools: SettleTools,
    ) -> bool {
        self.stopped.retain(|node, _| !owners.contains(node));
        let before = std::mem::replace(&mut self.owners, owners);
        let lost: Vec<Address> = before.into_iter().filter(|node| !self.owners.contains(node)).collect();
        self.waiting.push(answer);
        self.serial += 1;
        let (events, serial) = (tools.events.clone(), self.serial);
        tokio::spawn(async move {
            tokio::time::sleep(SETTLE_MAX).await;
            // The control thread outlives its tasks.
            let _ = events.send(Event::SettledAnyway(serial));
        });
        if lost.is_empty() {
            return false;
        }
        self.stopping += 1;
        let SettleTools { events, line, password, replica_of } = tools;
        let replicas = lost.iter().map(|node| replica_of.get(node).cloned()).collect();
        let stop = Stop { nodes: lost.into(), replicas, line, password };
        tokio::spawn(async move {
            let stopped = stop.run().await;
            let _ = events.send(Event::Stopped(stopped));
        });
        true
    }

    /// Primaries were stopped.
    pub(super) fn note_stopped(&mut self, stopped: BTreeMap<Address, bool>) {
        self.stopping -= 1;
        let owners = &self.owners;
        self.stopped.extend(stopped.into_iter().filter(|(node, _)| !owners.contains(node)));
    }

    /// What was waited for takes too long; whoever waits may ask how it is.
    pub(super) fn answer_anyway(&mut self, serial: u64) {
        if serial == self.serial {
            self.answer();
        }
    }

    /// Answers everybody who waits.
    pub(super) fn answer(&mut self) {
        for (to, reply) in self.waiting.drain(..) {
            to.send(reply);
        }
    }
}

/// Until when clients wait for slots that have no owner from now on.
pub(super) fn hold_from_now() -> Instant {
    Instant::now() + HOLD
}

/// The stopping of some primaries.
struct Stop {
    nodes: Arc<[Address]>,
    /// The replica of each, as far as the metadata name one.
    replicas: Vec<Option<Address>>,
    line: WorkersLine,
    password: Option<Secret>,
}

impl Stop {
    /// For each node whether a replica has everything.
    async fn run(self) -> BTreeMap<Address, bool> {
        let begun = Instant::now();
        while self.line.owed(&self.nodes).all().await.into_iter().sum::<usize>() > 0 {
            if begun.elapsed() > DRAIN_MAX {
                self.line.cut_off(&self.nodes).every().await;
                break;
            }
            tokio::time::sleep(DRAIN_LOOK_INTERVAL).await;
        }
        let mut stopped = BTreeMap::new();
        for (node, replica) in self.nodes.iter().zip(&self.replicas) {
            let is_replicated = match replica {
                Some(replica) => is_replicated(node, replica, self.password.as_ref()).await.unwrap_or(false),
                None => false,
            };
            stopped.insert(node.clone(), is_replicated);
        }
        stopped
    }
}

/// Whether the replica acknowledges what this node has now.
async fn is_replicated(
    node: &Address,
    replica: &Address,
    password: Option<&Secret>,
) -> Result<bool, NodeError> {
    let mut client = NodeClient::connect(node, password, NODE_LIMIT).await?;
    acknowledges(&mut client, &resolve(replica).await?, CHANNEL, ACKNOWLEDGE_MAX).await
}
