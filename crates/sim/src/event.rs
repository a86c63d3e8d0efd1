//! What happens in a world, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use control_core::{Command, ReadingNote, State};
use keeper::{DesiredRole, LeaseGrant, Ticket};
use model::{Address, Epoch, HealthAnswer, RunId, SetCluster, SetRepl};

/// A process, by its place among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Process {
    /// A proxy.
    Proxy(usize),
    /// A node.
    Node(usize),
    /// A coordinator.
    Coordinator(usize),
    /// A broker.
    Broker(usize),
}

/// Where an answer goes: the process that asked, and no later one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    /// Who asked.
    pub(crate) process: Process,
    /// Which process of it.
    pub(crate) incarnation: u32,
    /// Which question.
    pub(crate) request: u64,
}

/// What a coordinator asks of a proxy.
#[derive(Clone, Debug)]
pub(crate) enum ProxyAsk {
    /// UMCTL HEALTH.
    Health(Option<LeaseGrant>),
    /// UMCTL SETREPL.
    SetRepl(SetRepl),
    /// UMCTL SETCLUSTER.
    SetCluster(Box<SetCluster>),
    /// UMCTL CLEAN.
    Clean(Epoch),
    /// Something over a connection to this process: another one does not get it.
    ByProcess(Option<RunId>, Box<ProxyAsk>),
}

/// What a proxy answers.
#[derive(Clone, Debug)]
pub(crate) enum ProxyAnswer {
    /// How it is.
    Health(Box<HealthAnswer>),
    /// It is done, or was before.
    Done,
    /// It is not done, for now.
    Refused,
}

/// What a coordinator asks of a broker.
#[derive(Clone, Debug)]
pub(crate) enum BrokerAsk {
    /// What the metadata is, and what is said with that.
    Read(ReadingNote),
    /// To change it.
    Apply(Box<Command>),
}

/// What a broker answers.
#[derive(Clone, Debug)]
pub(crate) enum BrokerAnswer {
    /// The metadata, and how much longer leases may last, in milliseconds.
    State(Arc<State>, BTreeMap<Address, u64>),
    /// A command was carried out, or refused: it is not wanted any more then.
    Applied,
}

/// What a node is asked by its proxy.
#[derive(Clone, Debug)]
pub(crate) enum NodeAsk {
    /// How it is; after it has taken a role, if there is one.
    Visit {
        /// Names the visit.
        visit: Ticket,
        /// The role, and the process that is to take it.
        role: Option<(DesiredRole, String)>,
    },
    /// Whether a replica has all that it has now.
    Replica {
        /// Names the question.
        ask: Ticket,
        /// The replica.
        replica: Address,
    },
    /// A client's write.
    Write(WriteAsk),
    /// To forget everything.
    Flush,
}

/// A client's write on its way through a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteAsk {
    /// Names the write.
    pub(crate) write: u64,
    /// The connection over which it goes: what comes back over one that was given up is of no interest.
    pub(crate) connection: u64,
}

/// Something that happens to a process.
#[derive(Debug)]
pub(crate) enum Event {
    /// A question to a proxy.
    AskProxy(ReplyTo, ProxyAsk),
    /// A question to a broker.
    AskBroker(ReplyTo, BrokerAsk),
    /// A question to a node.
    AskNode(ReplyTo, NodeAsk),
    /// A look at a node's process.
    LookAtProcess(ReplyTo),
    /// A proxy's answer; none where it could not be reached, or not in time.
    FromProxy(u64, Option<ProxyAnswer>),
    /// A broker's answer; none where it could not be reached, or not in time.
    FromBroker(u64, Option<BrokerAnswer>),
    /// A node's answer to a write: whether it was executed.
    Written(WriteAsk, usize, bool),
    /// A client's write reaches a proxy.
    Write(u64, usize),
    /// Something that the keeper waits for.
    Keeper(Box<keeper::Event>),
    /// The keeper, or a coordinator's turn, wants to be called.
    Wake,
    /// A broker that was asked looks at its store.
    Look(ReplyTo, BrokerAsk),
    /// A replica is asked whether it has everything by now: the question, the replica, how far, until when.
    Acknowledged(ReplyTo, Ticket, Address, usize, u64),
    /// A replica looks for what is new at its primary.
    Follow,
    /// A coordinator probes a proxy.
    Probe(usize),
    /// A coordinator reads the metadata.
    Read,
    /// A coordinator sends what it had decided to send: to a proxy, its push.
    Send(usize, u64),
}
