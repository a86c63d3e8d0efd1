//! The memory that all sessions of a proxy may hold together, and what each worker holds of it.
//!
//! A client that reads slowly, or that has sent much and waits for it, costs memory and nothing else: nobody waits for
//! it. While the budget lasts it may hold as much as a Redis server would let it; when the budget does not last, the
//! session that holds most is closed.
//!
//! Each worker writes only its own figures, once a turn, and reads those of the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A session that holds less than this is never closed for the memory it holds, bytes.
pub const DROPPED_BYTES_MIN: usize = 64 * 1024;

/// What one worker has told the others.
#[derive(Debug, Default)]
struct Figures {
    /// All that it holds, bytes.
    held: AtomicU64,
    /// What its largest session holds, bytes; known only while memory is short.
    largest: AtomicU64,
}

/// The budget of one proxy.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    max_bytes: Arc<AtomicU64>,
    workers: Arc<[Figures]>,
}

impl MemoryBudget {
    /// A budget of `max_bytes` for this many workers.
    #[must_use]
    pub fn new(max_bytes: u64, workers: usize) -> Self {
        MemoryBudget {
            max_bytes: Arc::new(AtomicU64::new(max_bytes)),
            workers: (0..workers.max(1)).map(|_| Figures::default()).collect(),
        }
    }

    /// Changes the budget while workers run.
    pub fn set_max(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// The budget, bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Ordering::Relaxed)
    }

    /// What all workers hold, bytes; each as of its last turn.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.workers.iter().map(|worker| worker.held.load(Ordering::Relaxed)).sum()
    }

    /// The share of one worker, by its index.
    #[must_use]
    pub fn share(&self, worker: usize) -> MemoryShare {
        assert!(worker < self.workers.len(), "a budget is made for all workers");
        MemoryShare { budget: self.clone(), worker, held: 0, told: 0 }
    }
}

/// What one worker holds, and what it knows of the others.
#[derive(Debug)]
pub struct MemoryShare {
    budget: MemoryBudget,
    worker: usize,
    held: usize,
    /// What the others were told last.
    told: usize,
}

impl MemoryShare {
    /// The budget of all workers is this from now on, bytes.
    pub(in crate::engine) fn set_max(&self, max_bytes: u64) {
        self.budget.set_max(max_bytes);
    }

    /// Something of this worker held `before` and holds `now`, bytes.
    #[inline]
    pub(in crate::engine) fn changed(&mut self, before: usize, now: usize) {
        self.held = self.held + now - before;
    }

    /// What this worker holds, bytes.
    #[inline]
    pub(in crate::engine) fn held(&self) -> usize {
        self.held
    }

    /// What all workers hold together as of their last turns, and what they may hold, bytes.
    pub(in crate::engine) fn all_bytes(&self) -> (u64, u64) {
        (self.budget.held_bytes(), self.budget.max_bytes())
    }

    /// The longest request that may be gathered, bytes: one session leaves room for others.
    #[inline]
    pub(in crate::engine) fn request_bytes_max(&self) -> usize {
        usize::try_from(self.budget.max_bytes() / 2).unwrap_or(usize::MAX)
    }

    /// How much may wait to be written to one node before no more requests are taken for it, bytes.
    #[inline]
    pub(in crate::engine) fn backend_bytes_max(&self) -> usize {
        const SHARE: u64 = 32;
        usize::try_from(self.budget.max_bytes() / SHARE).unwrap_or(usize::MAX)
    }

    /// At the end of a turn: tells the others, and says whether all of them together hold too much.
    #[inline]
    pub(in crate::engine) fn is_short(&mut self) -> bool {
        if self.held == self.told && self.worker_is_alone_small() {
            return false;
        }
        self.tell();
        self.budget.held_bytes() > self.budget.max_bytes()
    }

    /// Whether more than half of what may be held is held: time to keep that from growing where it costs little.
    pub(in crate::engine) fn is_pressed(&self) -> bool {
        let held = self.budget.held_bytes() + self.held as u64 - self.told as u64;
        held > self.budget.max_bytes() / 2
    }

    /// The usual case: next to nothing is held here, so that nothing here could be closed.
    #[inline]
    fn worker_is_alone_small(&self) -> bool {
        self.held < DROPPED_BYTES_MIN
    }

    fn tell(&mut self) {
        if self.held != self.told {
            self.told = self.held;
            self.figures().held.store(self.held as u64, Ordering::Relaxed);
        }
    }

    fn figures(&self) -> &Figures {
        &self.budget.workers[self.worker]
    }

    /// Notes that this worker's largest session holds `largest` bytes; true if no other worker's is known to hold more.
    pub(in crate::engine) fn holds_most(&self, largest: usize) -> bool {
        self.figures().largest.store(largest as u64, Ordering::Relaxed);
        self.budget.workers.iter().all(|worker| worker.largest.load(Ordering::Relaxed) <= largest as u64)
    }

    /// Memory is not short any more, or nothing here can be closed.
    pub(in crate::engine) fn enough(&mut self) {
        self.tell();
        self.figures().largest.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_share_one_budget() {
        let budget = MemoryBudget::new(1_000_000, 2);
        let (mut first, mut second) = (budget.share(0), budget.share(1));
        first.changed(0, 600_000);
        assert!(!first.is_short());
        second.changed(0, 500_000);
        assert!(second.is_short() && first.is_short());
        assert_eq!(budget.held_bytes(), 1_100_000);
        second.changed(500_000, 0);
        assert!(!second.is_short() && !first.is_short());
        budget.set_max(10);
        assert!(first.is_short());
    }

    #[test]
    fn the_worker_with_the_largest_session_closes_it() {
        let budget = MemoryBudget::new(1, 2);
        let (mut first, second) = (budget.share(0), budget.share(1));
        assert!(first.holds_most(100_000));
        assert!(!second.holds_most(90_000));
        assert!(first.holds_most(100_000));
        first.enough();
        assert!(second.holds_most(90_000));
    }
}
