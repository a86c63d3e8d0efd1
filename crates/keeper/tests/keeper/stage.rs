//! A keeper on a stage: time and everything that it hears are given by the test.

use std::collections::BTreeSet;
use std::time::Duration;

use keeper::{
    Action, Answer, Caller, Event, Keeper, LeaseGrant, NodeLink, NodeRole, NodeStatus, Start, Ticket,
    VisitFault,
};
use model::{Address, HealthAnswer, Moment, SetCluster, SetRepl};

/// The nodes of the shard that the keeper's proxy has the primary of.
pub(crate) const PRIMARY: &str = "10.0.0.1:6379";
pub(crate) const REPLICA: &str = "10.0.0.2:6379";

pub(crate) struct Stage {
    keeper: Keeper,
    pub(crate) now: Moment,
    /// What the keeper wanted and the test has not taken yet.
    wanted: Vec<Action>,
    callers: u64,
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn primary(run_id: &str) -> NodeStatus {
    NodeStatus { run_id: run_id.to_owned(), ..NodeStatus::default() }
}

pub(crate) fn replica(run_id: &str, of: &str) -> NodeStatus {
    let of = address(of);
    let role = NodeRole::Replica { host: of.host().to_owned(), port: of.port(), link: NodeLink::Up };
    NodeStatus { run_id: run_id.to_owned(), role, ..NodeStatus::default() }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let now = Moment(Duration::from_secs(1000));
        let start =
            Start { announced: address("10.0.0.1:5299"), process: "run", node_addresses: BTreeSet::new() };
        Self { keeper: Keeper::new(start, now), now, wanted: Vec::new(), callers: 0 }
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(crate) fn hear(&mut self, event: Event) {
        self.wanted.extend(self.keeper.handle(self.now, event));
    }

    /// Lets time pass, with every call that the keeper asks for.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.plus(Duration::from_millis(ms));
        while let Some(at) = self.keeper.wakes_at().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.hear(Event::Tick);
        }
        self.now = end;
        self.hear(Event::Tick);
    }

    fn caller(&mut self) -> Caller {
        self.callers += 1;
        Caller(self.callers)
    }

    /// Metadata comes; who sent it.
    pub(crate) fn view(&mut self, text: &str) -> Caller {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let (caller, command) = (self.caller(), Box::new(SetCluster::parse(&words).unwrap()));
        self.hear(Event::SetCluster { caller, command });
        caller
    }

    pub(crate) fn roles(&mut self, text: &str) -> Caller {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let (caller, command) = (self.caller(), SetRepl::parse(&words).unwrap());
        self.hear(Event::SetRepl { caller, command });
        caller
    }

    /// The same, in force at once.
    pub(crate) fn view_in_force(&mut self, text: &str) -> Caller {
        let caller = self.view(text);
        self.hear(Event::Applied);
        caller
    }

    pub(crate) fn roles_in_force(&mut self, text: &str) -> Caller {
        let caller = self.roles(text);
        self.hear(Event::Applied);
        caller
    }

    /// A coordinator asks, without a lease.
    pub(crate) fn health(&mut self) -> HealthAnswer {
        self.probe(None)
    }

    /// A coordinator asks, and grants a lease from this answer on.
    pub(crate) fn grant(&mut self, from: &HealthAnswer, ms: u64) -> HealthAnswer {
        let length = Duration::from_millis(ms);
        self.probe(Some(LeaseGrant { token: from.token.clone(), length }))
    }

    fn probe(&mut self, grant: Option<LeaseGrant>) -> HealthAnswer {
        let caller = self.caller();
        self.hear(Event::Health { caller, grant });
        match self.answer(caller) {
            Some(Answer::Health(answer)) => *answer,
            other => panic!("no health: {other:?}"),
        }
    }

    pub(crate) fn clean(&mut self, epoch: u64) -> Caller {
        let caller = self.caller();
        self.hear(Event::Clean { caller, epoch: model::Epoch(epoch) });
        caller
    }

    /// What a caller was told, if anything.
    pub(crate) fn answer(&mut self, caller: Caller) -> Option<Answer> {
        let is_it =
            |action: &mut Action| matches!(action, Action::Answer { caller: to, .. } if *to == caller);
        match self.wanted.extract_if(.., is_it).next() {
            Some(Action::Answer { answer, .. }) => Some(answer),
            _ => None,
        }
    }

    /// Everything that the keeper wanted since it was asked last, but for what callers are told.
    pub(crate) fn wanted(&mut self) -> Vec<Action> {
        self.wanted.extract_if(.., |action| !matches!(action, Action::Answer { .. })).collect()
    }

    /// Until when a primary may be used, by the last order; the outer none where it may not be used at all.
    pub(crate) fn fenced_until(&self, primary: &str) -> Option<Option<Moment>> {
        let fences = self.wanted.iter().rev().find_map(|action| match action {
            Action::Fence(fences) => Some(fences),
            _ => None,
        });
        let is_it = |(node, _): &&(Address, Option<Moment>)| *node == address(primary);
        fences.expect("a fence").iter().find(is_it).map(|(_, until)| *until)
    }

    /// The visits that are under way, or the roles that are set, as far as the test has not taken them yet.
    pub(crate) fn visits(&mut self, of: &str) -> Vec<(Ticket, Option<keeper::DesiredRole>)> {
        let is_it = |action: &mut Action| match action {
            Action::Visit { node, .. } | Action::SetRole { node, .. } => *node == address(of),
            _ => false,
        };
        let found = self.wanted.extract_if(.., is_it);
        let told = found.map(|action| match action {
            Action::SetRole { visit, role, .. } => (visit, Some(role)),
            Action::Visit { visit, .. } => (visit, None),
            _ => unreachable!("a visit"),
        });
        told.collect()
    }

    /// A node answers the visit that is under way, and those that follow at once, but for one that sets its role.
    pub(crate) fn answers(&mut self, node: &str, status: &NodeStatus) {
        let is_it =
            |action: &mut Action| matches!(action, Action::Visit { node: of, .. } if *of == address(node));
        let mut answered = 0;
        while let Some(Action::Visit { visit, .. }) = self.wanted.extract_if(.., is_it).last() {
            self.visited(node, visit, Ok(status));
            answered += 1;
            assert!(answered < 10, "visits without end");
        }
        assert!(answered > 0, "no visit to {node}");
    }

    pub(crate) fn visited(&mut self, node: &str, visit: Ticket, outcome: Result<&NodeStatus, &str>) {
        let outcome = outcome.map(|status| Box::new(status.clone()));
        let outcome = outcome.map_err(|text| VisitFault::Failed(text.to_owned()));
        self.hear(Event::Visited { node: address(node), visit, outcome });
    }

    pub(crate) fn fails(&mut self, node: &str, visit: Ticket, fault: VisitFault) {
        self.hear(Event::Visited { node: address(node), visit, outcome: Err(fault) });
    }

    /// How many looks at processes the keeper wanted since it was asked last.
    pub(crate) fn wanted_looks(&mut self) -> usize {
        self.wanted.extract_if(.., |action| matches!(action, Action::LookAtProcess { .. })).count()
    }

    /// The questions for a replica.
    pub(crate) fn asks(&mut self) -> Vec<Ticket> {
        let found = self.wanted.extract_if(.., |action| matches!(action, Action::AskReplica { .. }));
        let ticket = |action| match action {
            Action::AskReplica { ask, .. } => ask,
            _ => unreachable!("a question"),
        };
        found.map(ticket).collect()
    }
}
