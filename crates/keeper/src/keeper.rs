//! The keeper: it routes what happened to the part that it concerns, and has done what follows.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Address, Epoch, HealthAnswer, Moment, ProxyHealth, RunId, SetCluster, SetRepl};

use crate::attachments::{self, Attachments};
use crate::cleaning::Cleaning;
use crate::heartbeats::{self, Heartbeats};
use crate::lease::Lease;
use crate::metadata::{Metadata, Refusal};
use crate::nodes::{Health, Nodes};
use crate::port::{Action, Answer, Caller, Event, LeaseGrant, Ticket};
use crate::readiness::{Look, Readiness};
use crate::report::{self, ReplicaKnown, whole_ms};
use crate::settling::Settling;
use crate::status::NodeStatus;
use crate::turn::{Tickets, Turn};
use crate::visit_fault::VisitFault;

/// How long clients wait for slots that are being handed over. A failover of a dead node takes less as a rule.
const HOLD: Duration = Duration::from_millis(1500);

/// What a keeper is made from.
#[derive(Debug)]
pub struct Start<'a> {
    /// The address by which others know this proxy.
    pub announced: Address,
    /// Names this process of the proxy and no other.
    pub process: &'a str,
    /// Nodes that are watched whether the metadata names them or not.
    pub node_addresses: BTreeSet<Address>,
}

/// A proxy's half of failover: see the crate's documentation.
#[derive(Debug)]
pub struct Keeper {
    /// Names this process; none where its name cannot be a run id.
    process: Option<RunId>,
    metadata: Metadata,
    lease: Lease,
    attachments: Attachments,
    nodes: Nodes,
    heartbeats: Heartbeats,
    settling: Settling,
    cleaning: Cleaning,
    tickets: Tickets,
    node_addresses: BTreeSet<Address>,
    /// Who sent the metadata that is on its way to the workers.
    applying: Option<Caller>,
    /// The epochs of view and roles that coordinators are told: all nodes were looked at since these were in force.
    told_epochs: (Epoch, Epoch),
    hold_until: Option<Moment>,
}

impl Keeper {
    /// A keeper that watches the nodes it is told of beforehand, once it hears the first [`Event`].
    #[must_use]
    pub fn new(start: Start<'_>, now: Moment) -> Self {
        let mut keeper = Self {
            process: start.process.parse().ok(),
            metadata: Metadata::new(start.announced),
            lease: Lease::new(start.process, now),
            attachments: Attachments::default(),
            nodes: Nodes::default(),
            heartbeats: Heartbeats::default(),
            settling: Settling::default(),
            cleaning: Cleaning::default(),
            tickets: Tickets::default(),
            node_addresses: start.node_addresses,
            applying: None,
            told_epochs: (Epoch::default(), Epoch::default()),
            hold_until: None,
        };
        // Nobody is watched yet who could be forgotten.
        keeper.follow_nodes(&mut Turn { now, tickets: Tickets::default(), actions: Vec::new() });
        keeper
    }

    /// Takes what has happened; what is to be done now, in this order. `now` never goes back.
    #[must_use = "the shell has to do it"]
    pub fn handle(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let (tickets, actions) = (std::mem::take(&mut self.tickets), Vec::new());
        let mut turn = Turn { now, tickets, actions };
        self.hear(event, &mut turn);
        if self.settling.take_stopped() {
            self.nodes.look(now);
            self.tell_epochs(&mut turn);
        }
        self.settling.do_due(&mut turn);
        self.heartbeats.ask_due(&mut turn);
        self.nodes.do_due(&mut turn);
        self.tickets = turn.tickets;
        turn.actions
    }

    fn hear(&mut self, event: Event, turn: &mut Turn) {
        match event {
            Event::SetCluster { caller, command } => self.set_cluster(caller, *command, turn),
            Event::SetRepl { caller, command } => self.set_repl(caller, command, turn),
            Event::Applied => self.applied(turn),
            Event::Health { caller, grant } => self.health(caller, grant.as_ref(), turn),
            Event::Clean { caller, epoch } => self.cleaning.begin(caller, epoch, &self.metadata, turn),
            Event::Cleaned(outcome) => self.cleaning.end(&outcome, turn),
            Event::Visited { node, visit, outcome } => self.visited(&node, visit, outcome, turn),
            Event::Asked { ask, has_acknowledged, replica_after } => {
                self.asked(ask, has_acknowledged.then_some(replica_after), turn);
            }
            Event::Owed { ask, replies } => {
                self.settling.owed(ask, replies, turn);
            }
            Event::CutOff { order } => self.settling.cut_off(order, turn),
            Event::Process { node, seen } => {
                if let Some(until) = self.nodes.process_seen(&node, seen, turn.now) {
                    turn.actions.push(Action::Lives { node, until });
                }
            }
            Event::Tick => {}
        }
    }

    /// When [`Event::Tick`] is wanted, if nothing happens before; `None` if nothing is due.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let wakes = [self.settling.wakes_at(), self.heartbeats.wakes_at(), self.nodes.wakes_at()];
        wakes.into_iter().flatten().min()
    }

    /// The metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The nodes beside this proxy, and how each is.
    pub fn nodes(&self) -> impl Iterator<Item = (&Address, &Health)> {
        self.nodes.seen().map(|(address, seen)| (address, seen.health))
    }

    /// Until when clients wait for slots that have no owner; `None` where there never were any.
    #[must_use]
    pub fn hold_until(&self) -> Option<Moment> {
        self.hold_until
    }

    /// Whether this proxy can serve what it owns.
    #[must_use]
    pub fn readiness(&self, now: Moment) -> Readiness {
        let owners = self.metadata.owners();
        let look = |owner: &Address| {
            if self.attachments.is_stopped(owner, self.lease.limit(), now) {
                Look::Fenced
            } else {
                self.nodes.look_at(owner, now)
            }
        };
        Readiness::of(self.metadata.is_ready(), owners.iter().map(|owner| (owner, look(owner))))
    }

    fn set_cluster(&mut self, caller: Caller, command: SetCluster, turn: &mut Turn) {
        let (is_leased, held) = (command.flags.leased, self.metadata.held().clone());
        let outcome = self.admit().and_then(|()| self.metadata.set_cluster(command));
        if outcome.is_ok() {
            if !self.metadata.held().difference(&held).is_empty() {
                self.hold_until = Some(turn.now.plus(HOLD));
            }
            if is_leased {
                self.lease.need();
            }
        }
        self.apply(caller, outcome, turn);
    }

    fn set_repl(&mut self, caller: Caller, command: SetRepl, turn: &mut Turn) {
        let outcome = self.admit().and_then(|()| self.metadata.set_repl(command));
        self.apply(caller, outcome, turn);
    }

    /// Nodes that are being emptied get no slots: what was written to them meanwhile would be lost.
    fn admit(&self) -> Result<(), Refusal> {
        if self.cleaning.is_under_way() { Err(Refusal::TryAgain) } else { Ok(()) }
    }

    fn apply(&mut self, caller: Caller, outcome: Result<(), Refusal>, turn: &mut Turn) {
        if let Err(refusal) = outcome {
            return turn.actions.push(Action::Answer { caller, answer: Answer::Refused(refusal) });
        }
        self.applying = Some(caller);
        self.follow_nodes(turn);
        self.fence(turn);
        turn.actions.push(Action::Apply);
    }

    fn applied(&mut self, turn: &mut Turn) {
        self.metadata.applied();
        self.follow_primaries(turn);
        self.settling.wait_for(self.applying.take(), turn.now);
        if !self.settling.begin(self.metadata.owners(), self.metadata.peers(), turn.now) {
            self.nodes.look(turn.now);
        }
        self.tell_epochs(turn);
    }

    fn health(&mut self, caller: Caller, grant: Option<&LeaseGrant>, turn: &mut Turn) {
        if let Some(grant) = grant {
            let is_first = self.lease.limit().is_none();
            if self.lease.grant(&grant.token, grant.length, turn.now) {
                if is_first {
                    self.follow_primaries(turn);
                }
                self.fence(turn);
            }
        }
        let answer = Answer::Health(Box::new(self.report(turn.now)));
        turn.actions.push(Action::Answer { caller, answer });
    }

    fn report(&self, now: Moment) -> HealthAnswer {
        let node = |(address, seen): (&Address, _)| {
            let replica = ReplicaKnown {
                is_replicated: self.settling.is_replicated(address),
                is_attached: self.attachments.is_attached(address, now),
            };
            report::node(address, seen, replica, now)
        };
        HealthAnswer {
            token: self.lease.token(now).into_bytes(),
            health: ProxyHealth {
                run_id: self.process.clone(),
                view_epoch: self.told_epochs.0,
                roles_epoch: self.told_epochs.1,
                lease_longest_ms: whole_ms(self.lease.longest()),
                lease_ms: Some(whole_ms(self.lease.until().since(now))),
                attached_soon_for_ms: self.attached_soon_until().map(|until| whole_ms(until.since(now))),
                nodes: self.nodes.seen().map(node).collect(),
                // Imports that wait to be committed; this proxy has none.
                finished: Vec::new(),
            },
        }
    }

    /// Until when an attached replica counts for a short time only: coordinators go by that.
    fn attached_soon_until(&self) -> Option<Moment> {
        self.lease.limit().filter(|_| self.lease.was_granted()).map(attachments::soon_until)
    }

    fn visited(
        &mut self,
        node: &Address,
        visit: Ticket,
        outcome: Result<Box<NodeStatus>, VisitFault>,
        turn: &mut Turn,
    ) {
        if self.nodes.visited(node, visit, outcome, turn) {
            self.tell_epochs(turn);
        }
    }

    fn asked(&mut self, ask: Ticket, acknowledged: Option<Duration>, turn: &mut Turn) {
        self.settling.asked(ask, acknowledged.is_some());
        let pace = heartbeats::pace(self.lease.limit(), turn.now);
        // Before the first lease the view may be one from long ago, and a replica that is about to be promoted says
        // nothing else until it is told to let go.
        if let Some(heard) =
            self.heartbeats.asked(ask, acknowledged, pace, turn.now).filter(|_| self.lease.was_granted())
        {
            self.attachments.acknowledged(&heard.primary, heard.asked);
            self.fence(turn);
        }
    }

    fn follow_nodes(&mut self, turn: &mut Turn) {
        let mut wanted = self.metadata.nodes();
        wanted.extend(self.node_addresses.iter().cloned());
        let metadata = &self.metadata;
        self.nodes.follow(&wanted, metadata.accepted_roles_epoch(), |node| metadata.order(node), turn);
    }

    /// Asks the primaries that have slots, and no others, for their replicas. A primary that has stopped is not
    /// asked, because its stream has to come to rest.
    fn follow_primaries(&mut self, turn: &mut Turn) {
        // Without a coordinator nobody is ever replaced, and nobody needs to be asked.
        let is_watched = self.lease.limit().is_some();
        let primaries = if is_watched { self.metadata.owners() } else { Vec::new() };
        let mut peers = self.metadata.peers();
        let pairs: Vec<_> =
            primaries.into_iter().filter_map(|primary| peers.remove_entry(&primary)).collect();
        self.heartbeats.follow(&pairs, turn);
        self.fence(turn);
    }

    /// Coordinators hear of metadata when primaries have stopped and all nodes were looked at under it.
    fn tell_epochs(&mut self, turn: &mut Turn) {
        if self.settling.is_stopping() || !self.nodes.all_looked() {
            return;
        }
        self.told_epochs = (self.metadata.epoch(), self.metadata.roles_epoch());
        if self.nodes.all_in_role() {
            self.settling.answer(turn);
        }
    }

    /// Gives the workers the time until which each primary may be used. A primary is not held up by another that has lost
    /// its replica.
    fn fence(&mut self, turn: &mut Turn) {
        let (owners, lease) = (self.metadata.owners(), self.lease.limit());
        self.attachments.keep(&owners);
        let until = |primary: Address| {
            let until = self.attachments.until(&primary, lease);
            (primary, until)
        };
        turn.actions.push(Action::Fence(owners.into_iter().map(until).collect()));
    }
}
