//! What the watch over a node tells the control thread.

use super::node_client::NodeReply;
use super::node_status::NodeStatus;

/// What is seen of a node.
#[derive(Debug)]
pub(super) enum NodeReport {
    /// It answers; with the number of the look that was asked for last when this one began.
    Up(NodeStatus, u64),
    /// It does not, for this reason.
    Down(String),
    /// So many databases it has.
    Databases(u32),
    /// Its reply to COMMAND.
    Commands(NodeReply),
}
