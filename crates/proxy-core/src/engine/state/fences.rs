//! Until when each node takes writes, as the control thread tells all workers. Nothing here acts on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Address;

/// Until when each node beside this proxy takes writes, as `Moment::us`; `u64::MAX` is without an end. The setter of
/// a time knows until when no other node can have been made the primary. The workers look at it in each turn, so that
/// a process that was stopped for a while sees that its time is over before it sends or delivers anything.
#[derive(Debug, Clone, Default)]
pub struct WriteFences(Arc<[(Address, Arc<AtomicU64>)]>);

impl WriteFences {
    /// The times of these nodes; a node that is not among them takes writes without an end.
    #[must_use]
    pub fn new(nodes: Vec<(Address, Arc<AtomicU64>)>) -> Self {
        Self(nodes.into())
    }

    #[inline]
    pub(in crate::engine) fn is_any_over(&self, now_us: u64) -> bool {
        // Reads of lines that hardly ever change, as for the view's generation.
        self.0.iter().any(|(_, until)| now_us > until.load(Ordering::Relaxed))
    }

    /// Whether any node's time can run out at all.
    #[inline]
    pub(in crate::engine) fn is_any_limited(&self) -> bool {
        self.0.iter().any(|(_, until)| until.load(Ordering::Relaxed) != u64::MAX)
    }

    pub(in crate::engine) fn over(&self, now_us: u64) -> Vec<Address> {
        let is_over = |until: &AtomicU64| now_us > until.load(Ordering::Relaxed);
        self.0.iter().filter(|(_, until)| is_over(until)).map(|(node, _)| node.clone()).collect()
    }
}
