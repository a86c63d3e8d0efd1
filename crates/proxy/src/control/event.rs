//! What the control thread's own tasks tell it. Their channel needs no limit of its own: each node's task reports at
//! most a few times a second, and one set of metadata is applied at a time.

use keeper::{NodeStatus, Ticket, VisitFault};
use link::Reply;
use model::Address;

use super::node_status::NodeInfo;

/// Something that happened in a task.
#[derive(Debug)]
pub(super) enum Event {
    /// The end of something that the keeper had done.
    Keeper(keeper::Event),
    /// Something was seen of a node.
    Node(Address, NodeReport),
}

/// What is seen of a node.
#[derive(Debug)]
pub(super) enum NodeReport {
    /// The end of a visit: what the node says of itself, or why it says nothing.
    Visited(Ticket, Result<Box<(NodeStatus, NodeInfo)>, VisitFault>),
    /// How many databases it has.
    Databases(u32),
    /// Its reply to COMMAND.
    Commands(Reply),
}
