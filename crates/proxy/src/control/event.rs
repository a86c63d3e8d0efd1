//! What the control thread's own tasks tell it. Their channel needs no limit of its own: each node's task reports at
//! most a few times a second, and one set of metadata is applied at a time.

use std::time::Instant;

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
    /// The nodes are to be looked at under the metadata that came into force last.
    LookDue,
    /// A replica of the primary at this address had, when asked then, all that the primary had.
    Acknowledged(Address, Instant),
    /// Something was seen of a node.
    Node(Address, NodeReport),
}
