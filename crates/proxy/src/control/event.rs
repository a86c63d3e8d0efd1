//! What the control thread's own tasks tell it.

use model::Address;

use super::node_watch::NodeReport;
use super::workers::ReplyTo;

/// Something that happened in a task.
#[derive(Debug)]
pub(super) enum Event {
    /// All workers have the metadata that was accepted last; who asked for it may be told so.
    MetadataApplied {
        /// Who asked.
        to: ReplyTo,
        /// The answer.
        reply: Vec<u8>,
    },
    /// Something was seen of a node.
    Node(Address, NodeReport),
}
