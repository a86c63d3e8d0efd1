//! A number that one thread changes and any thread may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter or gauge with a single writer.
///
/// Adding is a plain load and a plain store: no locked instruction. Were two threads to write the same
/// counter, additions could be lost (both load 5, both store 6), and nothing worse. A reader may run between
/// load and store and sees the old value; it never sees half of one.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`, wrapping. Only the owning thread may call it.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Takes `amount` away, for gauges; stops at zero.
    #[inline]
    pub fn subtract(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(amount), Relaxed);
    }

    /// Replaces the value. Only the owning thread may call it.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The value as last stored.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
