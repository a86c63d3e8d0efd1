//! What the control thread's own tasks tell it. Their channel needs no limit of its own: each node's task reports at
//! most a few times a second, and one set of metadata is applied at a time.

use std::collections::BTreeMap;
use std::time::Instant;

use model::Address;

use super::node_report::NodeReport;
use super::reply_to::ReplyTo;

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
    /// Primaries that lost their slots have stopped; for each, whether a replica has everything.
    Stopped(BTreeMap<Address, bool>),
    /// Metadata has been in force for long enough, whatever the nodes show; by its number.
    SettledAnyway(u64),
    /// A replica of the primary at this address had, when asked then, all that the primary had.
    Acknowledged(Address, Instant),
    /// Something was seen of a node.
    Node(Address, NodeReport),
}
