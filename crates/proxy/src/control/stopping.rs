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
use resp::Value;

use super::event::Event;
use super::node_client::{NodeClient, NodeError};
use super::thread::Control;
use super::workers::{ReplyTo, WorkersLine};

/// How long requests in flight are waited for before they are answered with an error. A node that lives answers
/// within a few milliseconds.
const DRAIN_MAX: Duration = Duration::from_millis(50);
/// Between two looks at what is in flight.
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// How long the replica may take to acknowledge, as WAIT takes it.
const ACKNOWLEDGE_MS: &[u8] = b"200";
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

impl Settling {
    /// Whether this node has lost its slots, and a replica had acknowledged everything after that.
    pub(super) fn is_replicated(&self, node: &Address) -> bool {
        self.stopped.get(node).copied().unwrap_or(false)
    }
}

impl Control {
    /// Metadata is in force: who sent it is answered when the nodes show it.
    pub(super) fn settle(&mut self, to: ReplyTo, reply: Vec<u8>) {
        let owners = self.cluster.owners();
        let before = std::mem::replace(&mut self.settling.owners, owners.clone());
        self.settling.stopped.retain(|node, _| !owners.contains(node));
        let lost: Vec<Address> = before.into_iter().filter(|node| !owners.contains(node)).collect();
        self.settling.waiting.push((to, reply));
        self.settling.serial += 1;
        let (events, serial) = (self.events.clone(), self.settling.serial);
        tokio::spawn(async move {
            tokio::time::sleep(SETTLE_MAX).await;
            // The control thread outlives its tasks.
            let _ = events.send(Event::SettledAnyway(serial));
        });
        if lost.is_empty() {
            return self.nodes.look();
        }
        self.settling.stopping += 1;
        let stop =
            Stop { nodes: lost.into(), line: self.workers.line(), password: self.backend_password.clone() };
        let events = self.events.clone();
        tokio::spawn(async move {
            let stopped = stop.run().await;
            let _ = events.send(Event::Stopped(stopped));
        });
    }

    /// Primaries were stopped.
    pub(super) fn note_stopped(&mut self, stopped: BTreeMap<Address, bool>) {
        self.settling.stopping -= 1;
        let owners = &self.settling.owners;
        self.settling.stopped.extend(stopped.into_iter().filter(|(node, _)| !owners.contains(node)));
        self.nodes.look();
    }

    /// Coordinators hear of metadata when primaries have stopped and all nodes were looked at under it.
    pub(super) fn tell_epochs(&mut self) {
        if self.settling.stopping > 0 || !self.nodes.all_looked() {
            return;
        }
        self.told_epochs = (self.cluster.epoch(), self.cluster.roles_epoch());
        if self.nodes.all_in_role(|node| self.cluster.order(node)) {
            self.answer_settled();
        }
    }

    /// What was waited for takes too long; whoever waits may ask how it is.
    pub(super) fn settled_anyway(&mut self, serial: u64) {
        if serial == self.settling.serial {
            self.answer_settled();
        }
    }

    fn answer_settled(&mut self) {
        for (to, reply) in self.settling.waiting.drain(..) {
            to.send(reply);
        }
    }

    /// Until when clients wait for slots that have no owner from now on.
    pub(super) fn hold_from_now(&mut self) {
        self.hold_until = Some(Instant::now() + HOLD);
    }
}

/// The stopping of some primaries.
struct Stop {
    nodes: Arc<[Address]>,
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
        for node in self.nodes.iter() {
            let is_replicated = is_replicated(node, self.password.as_ref()).await;
            stopped.insert(node.clone(), is_replicated.unwrap_or(false));
        }
        stopped
    }
}

/// Whether a replica acknowledges what this node has now.
async fn is_replicated(node: &Address, password: Option<&Secret>) -> Result<bool, NodeError> {
    let mut client = NodeClient::connect(node, password, NODE_LIMIT).await?;
    // WAIT speaks of the connection's own last write: this one comes after all others.
    client.call(&[b"PUBLISH", CHANNEL, b""]).await?;
    let reply = client.call(&[b"WAIT", b"1", ACKNOWLEDGE_MS]).await?;
    Ok(matches!(reply.value()?, Value::Integer(replicas) if replicas > 0))
}
