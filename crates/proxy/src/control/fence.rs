//! Until when this proxy's primaries take writes.
//!
//! Each does while a lease of a coordinator lasts, or while the replica that the metadata name has acknowledged lately: a
//! primary with that one attached cannot have been replaced, because promotion detaches it first. Any other replica, such
//! as a backup, does not count: nobody tells it to let go. A proxy that
//! was never granted a lease, nor given a view that says that it needs one, has no coordinator, and nobody who could
//! replace its primaries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::Address;
use proxy_core::engine::WriteFences;
use rustix::time::{ClockId, clock_gettime};

/// A replica that acknowledged that long ago still counts as attached. No longer than a lease, which is what
/// coordinators wait for after a replica has let go.
const ATTACHED_FOR: Duration = Duration::from_millis(model::ATTACHED_FOR_MS);

/// By so much earlier than they must the workers stop. Before it writes to a client a worker looks at a clock that is
/// late by up to a tick of the kernel, 10 ms at most, because that clock costs it a quarter of what the exact one does.
const DELIVERY_MARGIN: Duration = Duration::from_millis(10);

/// When a replica of each primary last acknowledged. The time is that at which it was asked.
#[derive(Debug, Default)]
pub(super) struct Attachments(BTreeMap<Address, Instant>);

impl Attachments {
    /// A replica has everything that its primary had at that time.
    pub(super) fn acknowledged(&mut self, primary: &Address, asked: Instant) {
        let last = self.0.entry(primary.clone()).or_insert(asked);
        *last = asked.max(*last);
    }

    /// Until when this primary takes writes; none for ever.
    fn until(&self, primary: &Address, lease_until: Option<Instant>) -> Option<Instant> {
        let lease_until = lease_until?;
        let attached = self.0.get(primary).map(|asked| *asked + ATTACHED_FOR);
        Some(attached.map_or(lease_until, |attached| attached.max(lease_until)))
    }

    /// Whether this primary takes no writes now.
    pub(super) fn is_stopped(&self, primary: &Address, lease_until: Option<Instant>, now: Instant) -> bool {
        self.until(primary, lease_until).is_some_and(|until| until <= now)
    }

    /// Whether a replica of this primary has acknowledged lately.
    pub(super) fn is_attached(&self, primary: &Address, now: Instant) -> bool {
        self.0.get(primary).is_some_and(|asked| now.saturating_duration_since(*asked) < ATTACHED_FOR)
    }

    /// Forgets those that are not primaries here any more.
    fn keep(&mut self, primaries: &[Address]) {
        self.0.retain(|primary, _| primaries.contains(primary));
    }
}

/// Until when each primary that has slots takes writes, as the workers see it, and what that follows from.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Which primaries have a replica that acknowledges.
    pub(super) attachments: Attachments,
    until_us: BTreeMap<Address, Arc<AtomicU64>>,
}

impl Fences {
    /// Gives the workers the time until which each of these primaries may be written to; `lease` is `None` where no
    /// lease is needed. A primary is not held up by another that has lost its replica.
    pub(super) fn set(&mut self, primaries: Vec<Address>, lease: Option<Instant>) {
        self.attachments.keep(&primaries);
        self.until_us.retain(|primary, _| primaries.contains(primary));
        for primary in primaries {
            let until = self.attachments.until(&primary, lease);
            let until_us = until.map_or(u64::MAX, |until| monotonic_us(until - DELIVERY_MARGIN));
            self.until_us.entry(primary).or_default().store(until_us, Ordering::Relaxed);
        }
    }

    /// What the workers look at. To be called after [`Fences::set`], and to be given to them when the primaries have
    /// changed.
    pub(super) fn for_workers(&self) -> WriteFences {
        WriteFences::new(self.until_us.iter().map(|(node, until)| (node.clone(), until.clone())).collect())
    }
}

/// An instant as workers count time.
pub(super) fn monotonic_us(instant: Instant) -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    let at = match instant.checked_duration_since(Instant::now()) {
        Some(ahead) => now + ahead,
        None => now.saturating_sub(instant.elapsed()),
    };
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_or_the_replica() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let [a, b]: [Address; 2] = ["a:1", "b:1"].map(|text| text.parse().unwrap());
        // Who acknowledged when, until when the lease lasts, until when writes are taken.
        for (acknowledged, lease, until) in [
            (vec![], None, None),
            (vec![(&a, 0)], None, None),
            (vec![], Some(400), Some(400)),
            (vec![(&a, 100)], Some(400), Some(400)),
            (vec![(&a, 200), (&b, 300)], Some(400), Some(500)),
            (vec![(&a, 200), (&a, 100)], Some(400), Some(500)),
            (vec![(&b, 200)], Some(400), Some(400)),
            (vec![(&a, 50)], Some(400), Some(400)),
        ] {
            let mut attachments = Attachments::default();
            acknowledged.iter().for_each(|(node, ms)| attachments.acknowledged(node, at(*ms)));
            let got = attachments.until(&a, lease.map(at));
            let stopped = |ms| attachments.is_stopped(&a, lease.map(at), at(ms));
            if let Some(until) = until {
                assert!(stopped(until) && !stopped(until - 1), "{acknowledged:?} {lease:?}");
            }
            assert_eq!(got, until.map(at), "{acknowledged:?} {lease:?}");
        }
        let mut attachments = Attachments::default();
        attachments.acknowledged(&a, at(0));
        assert!(attachments.is_attached(&a, at(299)) && !attachments.is_attached(&a, at(300)));
        assert!(!attachments.is_attached(&b, at(0)));
        attachments.keep(std::slice::from_ref(&b));
        assert!(attachments.0.is_empty());
    }
}
