//! The times until which primaries may be used, as the workers see them: each in a place of its own that all of them look
//! at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{Address, Moment};
use proxy_core::engine::WriteFences;

use crate::clock::micros;

/// Safety margin: the workers stop this long before the deadline. It covers what they do between a look at the clock
/// and the system call after it.
const DELIVERY_MARGIN: Duration = Duration::from_millis(10);

/// Until when each primary that has slots may be used.
#[derive(Debug, Default)]
pub(super) struct Fences(BTreeMap<Address, Arc<AtomicU64>>);

impl Fences {
    /// Sets these times and no others; a node without a time takes writes without an end.
    pub(super) fn set(&mut self, fences: Vec<(Address, Option<Moment>)>) {
        self.0.retain(|primary, _| fences.iter().any(|(fenced, _)| fenced == primary));
        for (primary, until) in fences {
            let until = until.map(|until| Moment(until.0.saturating_sub(DELIVERY_MARGIN)));
            self.0.entry(primary).or_default().store(until.map_or(u64::MAX, micros), Ordering::Relaxed);
        }
    }

    /// What the workers look at: to be given to them when the primaries have changed.
    pub(super) fn for_workers(&self) -> WriteFences {
        WriteFences::new(self.0.iter().map(|(node, until)| (node.clone(), until.clone())).collect())
    }
}
