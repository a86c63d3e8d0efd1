//! What the watch over a node and the control thread tell each other.

use model::Epoch;

use super::node_client::NodeReply;
use super::node_status::NodeStatus;
use super::state::Order;

/// What is seen of a node.
#[derive(Debug)]
pub(super) enum NodeReport {
    /// It answers; with what was wanted of it when this look began.
    Up(Box<NodeStatus>, Wanted),
    /// It does not, for this reason.
    Down(String),
    /// So many databases it has.
    Databases(u32),
    /// Its reply to COMMAND.
    Commands(NodeReply),
}

/// What the watch is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What the node is to be; none for whatever it is.
    pub(super) order: Option<Order>,
    /// The epoch of the roles that say so.
    pub(super) epoch: Epoch,
    /// Grows when a look is wanted at once.
    pub(super) look: u64,
}
