//! What the shell tells the keeper, and what the keeper has it do.

use std::sync::Arc;
use std::time::Duration;

use model::{Address, Epoch, HealthAnswer, Moment, SetCluster, SetRepl};

use crate::life::ProcessSeen;
use crate::metadata::Refusal;
use crate::role::DesiredRole;
use crate::status::{NodeProcess, NodeStatus};
use crate::visit_fault::VisitFault;

/// Names somebody who waits for an answer. The shell gives the numbers, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// Names something that the shell was asked to do and tells the end of. The keeper gives the numbers, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A lease, as a coordinator grants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseGrant {
    /// From the answer to an earlier probe.
    pub token: Vec<u8>,
    /// How long it lasts from then.
    pub length: Duration,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// UMCTL SETCLUSTER.
    SetCluster {
        /// Who sent it.
        caller: Caller,
        /// What it says.
        command: Box<SetCluster>,
    },
    /// UMCTL SETREPL.
    SetRepl {
        /// Who sent it.
        caller: Caller,
        /// What it says.
        command: SetRepl,
    },
    /// All workers have what [`Action::Apply`] announced.
    Applied,
    /// UMCTL HEALTH.
    Health {
        /// Who asks.
        caller: Caller,
        /// The lease that comes with it.
        grant: Option<LeaseGrant>,
    },
    /// UMCTL CLEAN.
    Clean {
        /// Who asks.
        caller: Caller,
        /// The epoch of the empty view.
        epoch: Epoch,
    },
    /// The end of [`Action::Clean`]; the node that could not be emptied, and why.
    Cleaned(Result<(), (Address, String)>),
    /// The end of [`Action::Visit`] or [`Action::SetRole`]: what the node says of itself; or why it does not.
    Visited {
        /// The node.
        node: Address,
        /// Which visit.
        visit: Ticket,
        /// What was seen.
        outcome: Result<Box<NodeStatus>, VisitFault>,
    },
    /// The end of [`Action::AskReplica`].
    Asked {
        /// Which question.
        ask: Ticket,
        /// The replica, and no other, has acknowledged all that the primary had when it was asked.
        has_acknowledged: bool,
        /// How long after the question, at most, the replica itself was asked for the answer that says so: it had not let go
        /// before.
        replica_after: Duration,
    },
    /// The end of [`Action::AskOwed`]: how many replies of these nodes are due to clients.
    Owed {
        /// Which question.
        ask: Ticket,
        /// How many.
        replies: usize,
    },
    /// The end of [`Action::CutOff`].
    CutOff {
        /// Which order.
        order: Ticket,
    },
    /// The answer to [`Action::LookAtProcess`].
    Process {
        /// The node.
        node: Address,
        /// What was seen of its process; `None` where it is not there.
        seen: Option<ProcessSeen>,
    },
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Give all workers the view that was accepted; [`Event::Applied`] when they have it.
    Apply,
    /// Tell who asked.
    Answer {
        /// Who.
        caller: Caller,
        /// What.
        answer: Answer,
    },
    /// Ask a node how it is: [`Event::Visited`], within [`crate::VISIT_LIMIT`]. One at a time for each node.
    Visit {
        /// The node.
        node: Address,
        /// Names the visit.
        visit: Ticket,
    },
    /// Give the node a role over the connection of the last visit, then ask how it is: [`Event::Visited`]. Where that
    /// connection is lost the visit has failed, because the node may be another process by now.
    SetRole {
        /// The node.
        node: Address,
        /// Names the visit.
        visit: Ticket,
        /// The role.
        role: DesiredRole,
        /// The node has a link to its primary that is of no use, and is to make another.
        anew: bool,
    },
    /// The node is not watched any more: a visit that is under way is of no interest.
    Forget {
        /// The node.
        node: Address,
    },
    /// Ask a replica, the one that the metadata names and no other, whether it has all that its primary has now:
    /// [`Event::Asked`].
    AskReplica {
        /// Names the question.
        ask: Ticket,
        /// The primary.
        primary: Address,
        /// Its replica.
        replica: Address,
        /// What for.
        purpose: Purpose,
    },
    /// The primary is not asked for this replica any more.
    EndHeartbeat {
        /// The primary.
        primary: Address,
        /// Its replica.
        replica: Address,
    },
    /// Ask the workers how many replies of these nodes are due to clients: [`Event::Owed`].
    AskOwed {
        /// Names the question.
        ask: Ticket,
        /// The nodes.
        nodes: Arc<[Address]>,
    },
    /// Have the workers give up what these nodes owe: [`Event::CutOff`].
    CutOff {
        /// Names the order.
        order: Ticket,
        /// The nodes.
        nodes: Arc<[Address]>,
    },
    /// The workers may use each of these primaries until then, and no other; without an end where there is no time.
    Fence(Vec<(Address, Option<Moment>)>),
    /// Look at the process of a node that is silent: [`Event::Process`].
    LookAtProcess {
        /// The node.
        node: Address,
        /// The process that it was.
        process: NodeProcess,
    },
    /// The process of a node that is silent works: the workers wait for it until then.
    Lives {
        /// The node.
        node: Address,
        /// Until when.
        until: Moment,
    },
    /// Empty these nodes: [`Event::Cleaned`].
    Clean {
        /// The nodes.
        nodes: Vec<Address>,
    },
}

/// Why it is asked whether a replica has everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whether the replica is attached: asked again and again.
    Heartbeat,
    /// The primary has stopped: whether the replica has everything.
    Handover,
}

/// An answer to a caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The metadata was not accepted.
    Refused(Refusal),
    /// How the proxy and its nodes are.
    Health(Box<HealthAnswer>),
    /// The empty view of that epoch is not in force: nothing was emptied.
    NotEmptyView,
    /// A node could not be emptied.
    NotCleaned {
        /// The node.
        node: Address,
        /// Why.
        reason: String,
    },
}
