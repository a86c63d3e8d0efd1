//! Which nodes are known to live although they answer nobody, as the control thread tells all workers. Nothing here
//! acts on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::Address;

/// Until when nodes are known to live: `Moment::us`. Set while a node's process is seen to work without answering;
/// looked at only where a reply is overdue, so a lock costs nothing that matters.
#[derive(Debug, Clone, Default)]
pub struct NodeLives(Arc<Mutex<BTreeMap<Address, u64>>>);

impl NodeLives {
    /// This node lives at least until then.
    pub fn set(&self, node: &Address, until_us: u64) {
        let mut lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lives.get_mut(node) {
            Some(until) => *until = until_us,
            None => _ = lives.insert(node.clone(), until_us),
        }
    }

    /// Nothing is known of this node any more.
    pub fn forget(&self, node: &Address) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    pub(in crate::engine) fn is_known_to_live(&self, node: &Address, now_us: u64) -> bool {
        let lives = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lives.get(node).is_some_and(|&until_us| now_us <= until_us)
    }
}
