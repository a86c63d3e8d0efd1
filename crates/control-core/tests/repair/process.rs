//! The processes: a proxy, which is the real keeper with imitated workers that have nothing under way, and its imitated
//! nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use control_core::TimeMs;
use keeper::{
    Action, Answer, Caller, DesiredRole, Event, Keeper, LeaseGrant, NodeProcess, NodeRole, NodeStatus,
    ProcessSeen, Start, Ticket, VISIT_LIMIT, VisitFault,
};
use model::{Address, Epoch, HealthAnswer, Moment, SetCluster, SetRepl, Slot};

use crate::node::SimNode;

/// How long a primary waits for its replica to acknowledge.
const ACKNOWLEDGE_MS: u64 = 200;

pub(crate) struct SimProxy {
    pub(crate) is_running: bool,
    /// The epoch of the view in force.
    pub(crate) view_epoch: Epoch,
    pub(crate) nodes: Vec<SimNode>,
    keeper: Keeper,
    address: Address,
    /// Tells its processes apart.
    process: u64,
    fences: BTreeMap<Address, Option<Moment>>,
    /// The process that answered the last visit.
    visited: BTreeMap<Address, u64>,
    /// Visits to nodes that hang, with when they are given up.
    silent: Vec<(Moment, Address, Ticket)>,
    asks: Vec<Ask>,
    callers: u64,
}

/// A question to a primary for its replica.
struct Ask {
    ticket: Ticket,
    primary: Address,
    replica: Address,
    asked: TimeMs,
}

impl SimProxy {
    pub(crate) fn new(address: &Address, nodes: &[Address], now: TimeMs) -> Self {
        Self {
            is_running: true,
            view_epoch: Epoch(0),
            nodes: nodes.iter().map(|node| SimNode::new(node, now)).collect(),
            keeper: keeper(address, 0, now),
            address: address.clone(),
            process: 0,
            fences: BTreeMap::new(),
            visited: BTreeMap::new(),
            silent: Vec::new(),
            asks: Vec::new(),
            callers: 0,
        }
    }

    /// It is started anew, and knows nothing.
    pub(crate) fn start(&mut self, now: TimeMs) {
        self.process += 1;
        (self.is_running, self.view_epoch) = (true, Epoch(0));
        self.keeper = keeper(&self.address, self.process, now);
        self.fences.clear();
        self.visited.clear();
        self.silent.clear();
        self.asks.clear();
    }

    /// Whether its workers send the writes of a slot to this node, and it takes them.
    pub(crate) fn serves(&self, node: &SimNode, slot: Slot, now: TimeMs) -> bool {
        let Some(view) = self.keeper.metadata().view() else { return false };
        let mut owned = view.local.iter().filter(|local| local.address == node.address);
        let owns = owned
            .any(|local| local.slots.iter().any(|slots| slots.tag.owns() && slots.ranges.contains(slot)));
        let until = self.fences.get(&node.address);
        let is_open = until.is_some_and(|until| until.is_none_or(|until| moment(now) < until));
        self.is_running && owns && is_open && node.answers() && node.following.is_none()
    }

    /// It is given metadata.
    pub(crate) fn accept(&mut self, roles: SetRepl, command: SetCluster, now: TimeMs) {
        let caller = self.caller();
        self.keep(Event::SetRepl { caller, command: roles }, now);
        let caller = self.caller();
        self.keep(Event::SetCluster { caller, command: Box::new(command) }, now);
    }

    /// How it and its nodes are; with a lease, if one comes with the question.
    pub(crate) fn health(&mut self, grant: Option<LeaseGrant>, now: TimeMs) -> HealthAnswer {
        let caller = self.caller();
        let answers = self.keep(Event::Health { caller, grant }, now);
        let health = answers.into_iter().find_map(|(to, answer)| match answer {
            Answer::Health(health) if to == caller => Some(*health),
            _ => None,
        });
        health.expect("health is told at once")
    }

    /// Has its nodes emptied, if the empty view of that epoch is in force; whether they were.
    pub(crate) fn clean(&mut self, epoch: Epoch, now: TimeMs) -> bool {
        let caller = self.caller();
        self.keep(Event::Clean { caller, epoch }, now).contains(&(caller, Answer::Done))
    }

    /// Time has passed: what was waited for has come, or does not come any more.
    pub(crate) fn step(&mut self, now: TimeMs) {
        let given_up: Vec<_> = self.silent.extract_if(.., |(at, ..)| *at <= moment(now)).collect();
        for (_, node, visit) in given_up {
            let outcome = Err(VisitFault::Silent("no answer in time".to_owned()));
            self.keep(Event::Visited { node, visit, outcome }, now);
        }
        let nodes = &self.nodes;
        let has_acknowledged = |ask: &Ask| {
            let primary = nodes.iter().find(|node| node.address == ask.primary && node.answers());
            let heard = primary.and_then(|primary| primary.acknowledged.get(&ask.replica));
            heard.is_some_and(|heard| *heard > ask.asked)
        };
        let is_over = |ask: &mut Ask| has_acknowledged(ask) || now.since(ask.asked) >= ACKNOWLEDGE_MS;
        let over: Vec<Ask> = self.asks.extract_if(.., is_over).collect();
        let over: Vec<_> = over.into_iter().map(|ask| (has_acknowledged(&ask), ask.ticket)).collect();
        for (has_acknowledged, ask) in over {
            self.keep(Event::Asked { ask, has_acknowledged, replica_after: Duration::ZERO }, now);
        }
        if self.keeper.wakes_at().is_some_and(|at| at <= moment(now)) {
            self.keep(Event::Tick, now);
        }
    }

    fn caller(&mut self) -> Caller {
        self.callers += 1;
        Caller(self.callers)
    }

    /// Tells the keeper what has happened, and does what it says; what it answers.
    fn keep(&mut self, event: Event, now: TimeMs) -> Vec<(Caller, Answer)> {
        let (mut events, mut answers) = (VecDeque::from([event]), Vec::new());
        while let Some(event) = events.pop_front() {
            for action in self.keeper.handle(moment(now), event) {
                match action {
                    Action::Answer { caller, answer } => answers.push((caller, answer)),
                    action => events.extend(self.act(action, now)),
                }
            }
        }
        answers
    }

    fn act(&mut self, action: Action, now: TimeMs) -> Option<Event> {
        match action {
            Action::Apply => {
                self.view_epoch = self.keeper.metadata().view().map_or(Epoch(0), |view| view.epoch);
                Some(Event::Applied)
            }
            Action::Visit { node, visit } => self.visit(node, visit, None, now),
            Action::SetRole { node, visit, role, .. } => self.visit(node, visit, Some(&role), now),
            Action::AskReplica { ask: ticket, primary, replica, .. } => {
                self.asks.push(Ask { ticket, primary, replica, asked: now });
                None
            }
            // No client waits for a reply.
            Action::AskOwed { ask, .. } => Some(Event::Owed { ask, replies: 0 }),
            Action::CutOff { order, .. } => Some(Event::CutOff { order }),
            Action::Fence(fences) => {
                self.fences = fences.into_iter().collect();
                None
            }
            Action::Clean { nodes } => {
                let emptied = self.nodes.iter_mut().filter(|node| nodes.contains(&node.address));
                emptied.for_each(|node| node.data.clear());
                Some(Event::Cleaned(Ok(())))
            }
            Action::LookAtProcess { node, .. } => {
                let seen = self.node(&node).filter(|node| node.is_running).map(|node| ProcessSeen {
                    state: if node.hung_since.is_some() { 'T' } else { 'S' },
                    ticks: 0,
                    ran_ns: 0,
                });
                Some(Event::Process { node, seen })
            }
            Action::Answer { .. } => unreachable!("told to whoever asked"),
            Action::Forget { .. } | Action::EndHeartbeat { .. } | Action::Lives { .. } => None,
        }
    }

    fn visit(
        &mut self,
        address: Address,
        visit: Ticket,
        role: Option<&DesiredRole>,
        now: TimeMs,
    ) -> Option<Event> {
        let last = self.visited.remove(&address);
        let node = self.nodes.iter_mut().find(|node| node.address == address);
        let node = node.expect("metadata names own nodes only");
        let is_lost = role.is_some() && last != Some(node.process);
        let outcome = if !node.is_running || is_lost {
            Err(VisitFault::Failed("the connection is refused, or lost".to_owned()))
        } else if node.hung_since.is_some() {
            self.silent.push((moment(now).plus(VISIT_LIMIT), address, visit));
            return None;
        } else {
            if let Some(role) = role.filter(|_| !node.is_loading) {
                node.set_role(role);
            }
            self.visited.insert(address.clone(), node.process);
            Ok(Box::new(status(node, now)))
        };
        Some(Event::Visited { node: address, visit, outcome })
    }

    fn node(&self, address: &Address) -> Option<&SimNode> {
        self.nodes.iter().find(|node| node.address == *address)
    }
}

/// The world's time as a proxy's clock shows it.
pub(crate) fn moment(now: TimeMs) -> Moment {
    Moment(Duration::from_millis(now.0))
}

fn keeper(address: &Address, process: u64, now: TimeMs) -> Keeper {
    let process = format!("{address}-{process}");
    let start = Start { announced: address.clone(), process: &process, node_addresses: BTreeSet::new() };
    Keeper::new(start, moment(now))
}

/// What a node says of itself.
fn status(node: &SimNode, now: TimeMs) -> NodeStatus {
    let role = node.following.as_ref().map_or(NodeRole::Primary, |primary| NodeRole::Replica {
        host: primary.host().to_owned(),
        port: primary.port(),
        link: node.link(now),
    });
    NodeStatus {
        role,
        run_id: format!("{}-{}", node.address, node.process),
        process: Some(NodeProcess { pid: 1, executable: "redis-server".to_owned() }),
        loading: node.is_loading,
        offset: node.data.last().copied().unwrap_or(0),
        keys: node.data.len() as u64,
        keeps_log: true,
        link_silent_s: node.silent_s(now),
        replicas: u32::try_from(node.acknowledged.len()).unwrap(),
        ..NodeStatus::default()
    }
}
