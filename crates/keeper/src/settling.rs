//! Metadata that is in force and has to show its effect: callers who wait for that, and primaries whose slots were taken
//! away.
//!
//! ```text
//!  view without the slots in force ─▶ Draining ─────────────▶ Confirming ─▶ told
//!                                        └─▶ CuttingOff ─▶┘
//!     Draining: what the workers owe is waited for; given up after DRAIN_MAX
//!     Confirming: whether the replica has everything is asked
//! ```
//! A coordinator that hears of the view hears of all this at once: from then on the node's data do not change, and
//! no client gets an OK for a write to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Address, Moment};

use crate::port::{Action, Answer, Caller, Purpose, Ticket};
use crate::turn::Turn;

/// How long requests in flight are waited for before they are answered with an error. A node that lives answers
/// within a few milliseconds.
const DRAIN_MAX: Duration = Duration::from_millis(50);
/// Between two looks at what is in flight.
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// How long the sender of metadata waits for its effect on the nodes.
const SETTLE_MAX: Duration = Duration::from_millis(300);

/// How far the stopping of some primaries is.
#[derive(Debug)]
enum Phase {
    /// The workers are asked what is due.
    Asking(Ticket),
    /// They are asked again then.
    Pausing(Moment),
    /// What is due is given up.
    CuttingOff(Ticket),
    /// The primaries are asked for their replicas.
    Confirming(BTreeMap<Ticket, Address>),
}

/// Some primaries that are being stopped.
#[derive(Debug)]
struct Stop {
    since: Moment,
    nodes: Arc<[Address]>,
    /// The replica of each, as far as the metadata names one.
    replicas: BTreeMap<Address, Address>,
    phase: Phase,
    stopped: BTreeMap<Address, bool>,
}

/// Metadata that is in force and has not shown its effect on the nodes yet.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    /// Who waits for that, and until when.
    waiting: Vec<(Caller, Moment)>,
    stops: Vec<Stop>,
    /// The nodes that had slots before.
    owners: Vec<Address>,
    /// Nodes that lost their slots: whether a replica has acknowledged everything.
    stopped: BTreeMap<Address, bool>,
}

impl Settling {
    /// Whether this node has lost its slots, and a replica had acknowledged everything after that.
    pub(crate) fn is_replicated(&self, node: &Address) -> bool {
        self.stopped.get(node).copied().unwrap_or(false)
    }

    /// Whether primaries are still being stopped.
    pub(crate) fn is_stopping(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Metadata is in force by which `owners` have slots. Primaries that have lost theirs are stopped; false if there
    /// is none. `replicas`: that of each node here, as far as the metadata names one.
    pub(crate) fn begin(
        &mut self,
        owners: Vec<Address>,
        replicas: BTreeMap<Address, Address>,
        now: Moment,
    ) -> bool {
        self.stopped.retain(|node, _| !owners.contains(node));
        let before = std::mem::replace(&mut self.owners, owners);
        let lost: Arc<[Address]> = before.into_iter().filter(|node| !self.owners.contains(node)).collect();
        if lost.is_empty() {
            return false;
        }
        let (phase, stopped) = (Phase::Pausing(now), BTreeMap::new());
        self.stops.push(Stop { since: now, nodes: lost, replicas, phase, stopped });
        true
    }

    /// Has a caller wait for the effect.
    pub(crate) fn wait_for(&mut self, caller: Option<Caller>, now: Moment) {
        self.waiting.extend(caller.map(|caller| (caller, now.plus(SETTLE_MAX))));
    }

    /// The workers have said what is due.
    pub(crate) fn owed(&mut self, ask: Ticket, replies: usize, turn: &mut Turn) {
        let is_asking = |stop: &&mut Stop| matches!(stop.phase, Phase::Asking(ticket) if ticket == ask);
        let Some(stop) = self.stops.iter_mut().find(is_asking) else { return };
        if replies == 0 {
            stop.confirm(turn);
        } else if turn.now.since(stop.since) > DRAIN_MAX {
            let order = turn.tickets.next();
            stop.phase = Phase::CuttingOff(order);
            turn.actions.push(Action::CutOff { order, nodes: stop.nodes.clone() });
        } else {
            stop.phase = Phase::Pausing(turn.now.plus(DRAIN_LOOK_INTERVAL));
        }
    }

    /// The workers have given up what was due.
    pub(crate) fn cut_off(&mut self, order: Ticket, turn: &mut Turn) {
        let is_ordered =
            |stop: &&mut Stop| matches!(stop.phase, Phase::CuttingOff(ticket) if ticket == order);
        if let Some(stop) = self.stops.iter_mut().find(is_ordered) {
            stop.confirm(turn);
        }
    }

    /// A primary was asked for its replica.
    pub(crate) fn asked(&mut self, ask: Ticket, has_acknowledged: bool) {
        for stop in &mut self.stops {
            if let Phase::Confirming(asked) = &mut stop.phase
                && let Some(node) = asked.remove(&ask)
            {
                stop.stopped.insert(node, has_acknowledged);
            }
        }
    }

    /// Takes the primaries that have stopped by now; whether there were any.
    pub(crate) fn take_stopped(&mut self) -> bool {
        let has_ended = |stop: &mut Stop| matches!(&stop.phase, Phase::Confirming(asked) if asked.is_empty());
        let ended: Vec<Stop> = self.stops.extract_if(.., has_ended).collect();
        let owners = &self.owners;
        for stop in &ended {
            let lost = stop.stopped.iter().filter(|(node, _)| !owners.contains(node));
            self.stopped.extend(lost.map(|(node, is_replicated)| (node.clone(), *is_replicated)));
        }
        !ended.is_empty()
    }

    /// The nodes show the effect: everybody who waits is answered.
    pub(crate) fn answer(&mut self, turn: &mut Turn) {
        let done = |(caller, _)| Action::Answer { caller, answer: Answer::Done };
        turn.actions.extend(self.waiting.drain(..).map(done));
    }

    /// Asks what is due again, and answers who has waited for long enough: they may ask how it is.
    pub(crate) fn do_due(&mut self, turn: &mut Turn) {
        for stop in &mut self.stops {
            if matches!(stop.phase, Phase::Pausing(until) if until <= turn.now) {
                let ask = turn.tickets.next();
                stop.phase = Phase::Asking(ask);
                turn.actions.push(Action::AskOwed { ask, nodes: stop.nodes.clone() });
            }
        }
        let late = self.waiting.extract_if(.., |(_, until)| *until <= turn.now);
        turn.actions.extend(late.map(|(caller, _)| Action::Answer { caller, answer: Answer::Done }));
    }

    /// When [`Settling::do_due`] is wanted.
    pub(crate) fn wakes_at(&self) -> Option<Moment> {
        let pauses = self.stops.iter().filter_map(|stop| match stop.phase {
            Phase::Pausing(until) => Some(until),
            Phase::Asking(_) | Phase::CuttingOff(_) | Phase::Confirming(_) => None,
        });
        pauses.chain(self.waiting.iter().map(|(_, until)| *until)).min()
    }
}

impl Stop {
    fn confirm(&mut self, turn: &mut Turn) {
        let mut asked = BTreeMap::new();
        for primary in self.nodes.iter() {
            let Some(replica) = self.replicas.get(primary) else {
                self.stopped.insert(primary.clone(), false);
                continue;
            };
            let ask = turn.tickets.next();
            asked.insert(ask, primary.clone());
            let (primary, replica) = (primary.clone(), replica.clone());
            turn.actions.push(Action::AskReplica { ask, primary, replica, purpose: Purpose::Handover });
        }
        self.phase = Phase::Confirming(asked);
    }
}
