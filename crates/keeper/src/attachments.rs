//! Until when this proxy's primaries take writes.
//!
//! Each does while a lease of a coordinator lasts, or while the replica that the metadata names has acknowledged lately: a
//! primary with that one attached cannot have been replaced, because promotion detaches it first. Any other replica, such
//! as a backup, does not count: nobody tells it to let go. Nor does any count before this process of the proxy was granted
//! a lease, because its view may be from long ago:
//! ```text
//!   proxy: stopped in a handover ─ restarts ──── given the view from before ─ replica attached ─ serves?   no
//!   coordinators:                  stopped is seen ─ promotion committed ─────────── replica told, serves
//! ```
//! A proxy that was never granted a lease, nor given a view that says that it needs one, has no coordinator, and nobody who
//! could replace its primaries.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Address, Moment};

/// A replica that acknowledged that long ago still counts as attached. No longer than a lease, which is what
/// coordinators wait for after a replica has let go.
const ATTACHED_FOR: Duration = Duration::from_millis(model::ATTACHED_FOR_MS);
/// One that was asked before the lease is over for that long counts for a shorter time. In that time a proxy that is cut off
/// from the coordinators is replaced, and who replaces it waits for this. Later it is the coordinators that are dead.
const SOON_FOR: Duration = Duration::from_millis(model::ATTACHED_SOON_FOR_MS);
const ATTACHED_SOON: Duration = Duration::from_millis(model::ATTACHED_SOON_MS);

/// Until when the shorter time counts, by a lease that lasts until then.
pub(crate) fn soon_until(lease_until: Moment) -> Moment {
    lease_until.plus(SOON_FOR)
}

/// When a replica of each primary last acknowledged. The time is that at which it was asked.
#[derive(Debug, Default)]
pub(crate) struct Attachments(BTreeMap<Address, Moment>);

impl Attachments {
    /// A replica has everything that its primary had at that time.
    pub(crate) fn acknowledged(&mut self, primary: &Address, asked: Moment) {
        let last = self.0.entry(primary.clone()).or_insert(asked);
        *last = asked.max(*last);
    }

    /// Until when this primary takes writes; `None` means without an end.
    pub(crate) fn until(&self, primary: &Address, lease_until: Option<Moment>) -> Option<Moment> {
        let lease_until = lease_until?;
        let counts =
            |asked: Moment| if asked < soon_until(lease_until) { ATTACHED_SOON } else { ATTACHED_FOR };
        let attached = self.0.get(primary).map(|asked| asked.plus(counts(*asked)));
        Some(attached.map_or(lease_until, |attached| attached.max(lease_until)))
    }

    /// Whether this primary takes no writes now.
    pub(crate) fn is_stopped(&self, primary: &Address, lease_until: Option<Moment>, now: Moment) -> bool {
        self.until(primary, lease_until).is_some_and(|until| until <= now)
    }

    /// Whether a replica of this primary has acknowledged lately.
    pub(crate) fn is_attached(&self, primary: &Address, now: Moment) -> bool {
        self.0.get(primary).is_some_and(|asked| now.since(*asked) < ATTACHED_FOR)
    }

    /// Forgets those that are not primaries here any more.
    pub(crate) fn keep(&mut self, primaries: &[Address]) {
        self.0.retain(|primary, _| primaries.contains(primary));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_or_the_replica() {
        let begun = Moment(Duration::from_secs(1000));
        let at = |ms: u64| begun.plus(Duration::from_millis(ms));
        let [a, b]: [Address; 2] = ["a:1", "b:1"].map(|text| text.parse().unwrap());
        // Who acknowledged when, until when the lease lasts, until when writes are taken.
        for (acknowledged, lease, until) in [
            (vec![], None, None),
            (vec![(&a, 0)], None, None),
            (vec![], Some(400), Some(400)),
            (vec![(&a, 100)], Some(400), Some(400)),
            (vec![(&a, 350), (&b, 390)], Some(400), Some(450)),
            (vec![(&a, 350), (&a, 320)], Some(400), Some(450)),
            (vec![(&a, 1_399)], Some(400), Some(1_499)),
            (vec![(&a, 1_400)], Some(400), Some(1_700)),
            // A lease that is renewed makes it count for a shorter time again.
            (vec![(&a, 1_400)], Some(1_410), Some(1_500)),
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
