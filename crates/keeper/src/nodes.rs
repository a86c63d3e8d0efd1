//! The nodes beside this proxy: when each is visited, what it is told, and what is known of it.
//!
//! ```text
//!            visit                  in another role than ordered          still so
//!   Due ─────────────▶ UnderWay ───────────────────────▶ UnderWay ───────────────▶ Due soon
//!    ▲                    │ as ordered, or no answer      (role set)
//!    └────────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{Address, Epoch, Moment};

use crate::life::{Life, ProcessSeen};
use crate::port::{Action, Ticket};
use crate::readiness::Look;
use crate::role::{GivenProcess, Order};
use crate::status::{NodeLink, NodeRole, NodeStatus};
use crate::turn::Turn;
use crate::visit_fault::VisitFault;

/// Between two visits to a node.
const VISIT_INTERVAL: Duration = Duration::from_millis(100);
/// After a role was refused, or did not hold.
const ROLE_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// It answers.
    Up(Box<NodeStatus>),
    /// It says that it is busy, or does not answer, for this reason, and its process works.
    Busy(String),
    /// It does not answer, for this reason.
    Down(String),
}

impl Health {
    /// Up: what it says of itself.
    #[must_use]
    pub fn status(&self) -> Option<&NodeStatus> {
        match self {
            Health::Up(status) => Some(status),
            Health::Unknown | Health::Busy(_) | Health::Down(_) => None,
        }
    }

    /// One word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up(status) if status.loading => "loading",
            Health::Up(_) => "up",
            Health::Busy(_) => "busy",
            Health::Down(_) => "down",
        }
    }
}

/// What is known of a node, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// How it was at the last look.
    pub(crate) health: &'a Health,
    /// When it last answered; when the watch began if it never did.
    pub(crate) answered: Moment,
    /// It does not answer, and nobody can look at its process.
    pub(crate) is_unseen: bool,
    /// The epoch of the roles under which it was last seen to be what they say, by a look that began after they came.
    pub(crate) role_epoch: Epoch,
}

/// What a node is to be, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    /// None for whatever it is.
    order: Option<Order>,
    /// The epoch of the roles that say so.
    epoch: Epoch,
    /// How often a look at all nodes was asked for.
    look: u64,
}

/// The visits to a node.
#[derive(Debug)]
enum Visiting {
    /// The next is at this time.
    Due(Moment),
    /// One is under way, with what was wanted when it began.
    UnderWay { visit: Ticket, wanted: Wanted, sets_role: bool },
}

/// One watched node.
#[derive(Debug)]
struct Node {
    health: Health,
    answered: Moment,
    /// Why the last visit failed, if it did.
    fault: Option<VisitFault>,
    role_epoch: Epoch,
    /// The number of the last look that was asked for and made.
    looked: u64,
    wanted: Wanted,
    visiting: Visiting,
    given: GivenProcess,
    life: Life,
}

/// All of them, in the order of their addresses.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: BTreeMap<Address, Node>,
    looks: u64,
}

impl Nodes {
    /// Watches these nodes and no others, and has each keep the role that `order` gives.
    pub(crate) fn follow(
        &mut self,
        wanted: &BTreeSet<Address>,
        epoch: Epoch,
        order: impl Fn(&Address) -> Option<Order>,
        turn: &mut Turn,
    ) {
        let gone = self.nodes.extract_if(.., |address, _| !wanted.contains(address));
        turn.actions.extend(gone.map(|(node, _)| Action::Forget { node }));
        for address in wanted {
            let wanted = Wanted { order: order(address), epoch, look: self.looks };
            match self.nodes.get_mut(address) {
                Some(node) => node.want(wanted, turn.now),
                None => drop(self.nodes.insert(address.clone(), Node::new(wanted, turn.now))),
            }
        }
    }

    /// Has all of them looked at now.
    pub(crate) fn look(&mut self, now: Moment) {
        self.looks += 1;
        for node in self.nodes.values_mut() {
            let wanted = Wanted { look: self.looks, ..node.wanted.clone() };
            node.want(wanted, now);
        }
    }

    /// A visit has ended; false if nobody waits for it any more.
    pub(crate) fn visited(
        &mut self,
        address: &Address,
        visit: Ticket,
        outcome: Result<Box<NodeStatus>, VisitFault>,
        turn: &mut Turn,
    ) -> bool {
        let Some(node) = self.nodes.get_mut(address) else { return false };
        let under_way = std::mem::replace(&mut node.visiting, Visiting::Due(turn.now.plus(VISIT_INTERVAL)));
        let (wanted, had_set_role) = match under_way {
            Visiting::UnderWay { visit: awaited, wanted, sets_role } if awaited == visit => {
                (wanted, sets_role)
            }
            other => {
                node.visiting = other;
                return false;
            }
        };
        let status = match outcome {
            Ok(status) => status,
            Err(fault) => {
                (node.fault, node.looked) = (Some(fault), 0);
                node.judge(turn.now);
                return true;
            }
        };
        let order = node.answers(status, &wanted, turn.now);
        let order = order.filter(|order| node.wanted.order.as_ref() == Some(order));
        match order {
            Some(order) if !had_set_role => {
                let visit = turn.tickets.next();
                let wanted = node.wanted.clone();
                node.visiting = Visiting::UnderWay { visit, wanted, sets_role: true };
                let (node, role, anew) = (address.clone(), order.role, node.has_mute_link());
                turn.actions.push(Action::SetRole { node, visit, role, anew });
            }
            Some(_) => node.visiting = Visiting::Due(turn.now.plus(ROLE_RETRY_INTERVAL)),
            // Something else is wanted than when the visit began.
            None if wanted != node.wanted => node.visiting = Visiting::Due(turn.now),
            None => {}
        }
        true
    }

    /// Visits whom it is time to visit, and looks at the processes of the silent.
    pub(crate) fn do_due(&mut self, turn: &mut Turn) {
        for (address, node) in &mut self.nodes {
            node.judge(turn.now);
            if matches!(node.visiting, Visiting::Due(at) if at <= turn.now) {
                let visit = turn.tickets.next();
                node.visiting = Visiting::UnderWay { visit, wanted: node.wanted.clone(), sets_role: false };
                turn.actions.push(Action::Visit { node: address.clone(), visit });
            }
            if let Some(process) = node.life.look(node.answered, turn.now) {
                turn.actions.push(Action::LookAtProcess { node: address.clone(), process });
            }
        }
    }

    /// When [`Nodes::do_due`] is wanted.
    pub(crate) fn wakes_at(&self) -> Option<Moment> {
        let wakes = |node: &Node| {
            let visit = match node.visiting {
                Visiting::Due(at) => Some(at),
                Visiting::UnderWay { .. } => None,
            };
            visit.into_iter().chain(node.life.next_look(node.answered)).min()
        };
        self.nodes.values().filter_map(wakes).min()
    }

    /// A node's process was looked at: until when the node is taken to live, if it is.
    pub(crate) fn process_seen(
        &mut self,
        address: &Address,
        seen: Option<ProcessSeen>,
        now: Moment,
    ) -> Option<Moment> {
        let node = self.nodes.get_mut(address)?;
        node.life.seen(seen, node.answered, now)
    }

    /// Whether all that answer were looked at since [`Nodes::look`] was last called.
    pub(crate) fn all_looked(&self) -> bool {
        let is_due = |node: &Node| matches!(node.health, Health::Up(_)) && node.looked < self.looks;
        !self.nodes.values().any(is_due)
    }

    /// Whether each has been looked at, and all that answer are what they were told to be, except those that
    /// restarted and stay out of service.
    pub(crate) fn all_in_role(&self) -> bool {
        self.nodes.values().all(|node| match (&node.health, &node.wanted.order) {
            (Health::Up(status), Some(order)) => {
                status.restarted || status.loading || order.role.is_had_by(status)
            }
            (Health::Unknown, _) => false,
            _ => true,
        })
    }

    /// What is known of each.
    pub(crate) fn seen(&self) -> impl Iterator<Item = (&Address, Seen<'_>)> {
        self.nodes.iter().map(|(address, node)| {
            let Node { health, answered, role_epoch, .. } = node;
            let is_unseen = node.is_unseen();
            (address, Seen { health, answered: *answered, is_unseen, role_epoch: *role_epoch })
        })
    }

    /// What a look at a node showed.
    pub(crate) fn look_at(&self, address: &Address, now: Moment) -> Look {
        match self.nodes.get(address) {
            Some(node) if node.is_busy(now) => Look::Busy,
            Some(Node { health: Health::Up(status), answered, .. }) if !status.loading => {
                Look::Answered(now.since(*answered))
            }
            _ => Look::Silent,
        }
    }
}

impl Node {
    fn new(wanted: Wanted, now: Moment) -> Self {
        Self {
            health: Health::Unknown,
            answered: now,
            fault: None,
            role_epoch: Epoch(0),
            looked: 0,
            wanted,
            visiting: Visiting::Due(now),
            given: GivenProcess::default(),
            life: Life::default(),
        }
    }

    /// Whether it says that it is busy, or is silent and its process works. Nobody who refuses connections is.
    fn is_busy(&self, now: Moment) -> bool {
        match &self.fault {
            Some(VisitFault::Busy(_)) => true,
            Some(VisitFault::Silent(_)) | None => self.life.works(now),
            Some(VisitFault::Failed(_)) => false,
        }
    }

    fn is_unseen(&self) -> bool {
        match &self.fault {
            Some(VisitFault::Silent(_)) => !self.life.is_seen(),
            None => self.health == Health::Unknown,
            Some(VisitFault::Busy(_) | VisitFault::Failed(_)) => false,
        }
    }

    /// A node whose last visit failed is busy or down, by what is known of its process now.
    fn judge(&mut self, now: Moment) {
        let Some(fault) = &self.fault else { return };
        match (self.is_busy(now), &self.health) {
            (true, Health::Busy(_)) | (false, Health::Down(_)) => {}
            (true, _) => self.health = Health::Busy(fault.to_string()),
            (false, _) => self.health = Health::Down(fault.to_string()),
        }
    }

    /// What is new is looked after at once: now, or when the visit that is under way has ended.
    fn want(&mut self, wanted: Wanted, now: Moment) {
        let is_new = self.wanted != wanted;
        self.wanted = wanted;
        if let Visiting::Due(at) = &mut self.visiting
            && is_new
        {
            *at = now;
        }
    }

    /// Whether it follows over a link over which nothing comes, and goes on so until it is told again.
    fn has_mute_link(&self) -> bool {
        let role = self.health.status().map(|status| &status.role);
        matches!(role, Some(NodeRole::Replica { link: NodeLink::Mute, .. }))
    }

    /// Takes what the node says of itself; its order, if it has another role than that and is to be told.
    fn answers(&mut self, mut status: Box<NodeStatus>, wanted: &Wanted, now: Moment) -> Option<Order> {
        self.life.answered(status.process.clone());
        status.restarted = self.given.restarted(&status, wanted.order.as_ref());
        let is_in_role = wanted.order.as_ref().is_some_and(|order| order.role.is_had_by(&status));
        if is_in_role {
            // Only by an answer that was asked for after the roles had come: that a node was told to let go of its primary
            // is no proof that it has.
            self.role_epoch = wanted.epoch;
        }
        // A primary that lost its memory must not be one again before somebody says so: its replica would copy the
        // loss.
        let is_sound = !status.restarted && !status.loading;
        (self.answered, self.looked, self.fault, self.health) = (now, wanted.look, None, Health::Up(status));
        let is_to_be_told = is_sound && (!is_in_role || self.has_mute_link());
        wanted.order.clone().filter(|_| is_to_be_told)
    }
}
