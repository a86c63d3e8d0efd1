//! The lease by which this proxy may serve writes although no replica is attached to its primary.
//!
//! A lease counts from when this proxy issued the token that the grant carries back, however long the grant was
//! on its way. Tokens of an earlier process of this proxy mean nothing here.
//!
//! Without a coordinator there are no leases, and none is needed. A view that says that its sender grants them changes
//! that at once, before it is in force: so a view that was overtaken long ago, pushed late by a coordinator that was
//! stopped, makes nobody serve.

use std::time::Duration;

use model::Moment;

/// A longer lease is not taken: nobody would be promoted for as long.
const LEASE_MAX: Duration = Duration::from_secs(3600);

/// What was granted.
#[derive(Debug)]
pub(crate) struct Lease {
    started: Moment,
    /// Tells this process's tokens from those of another.
    process: String,
    until: Moment,
    longest: Duration,
    is_needed: bool,
    was_granted: bool,
}

impl Lease {
    /// None yet. `process` names this process and no other.
    pub(crate) fn new(process: &str, now: Moment) -> Lease {
        let (longest, is_needed, was_granted) = (Duration::ZERO, false, false);
        Lease { started: now, process: process.to_owned(), until: now, longest, is_needed, was_granted }
    }

    /// From now on nothing is served without a lease or an attached replica, for as long as this process lives.
    pub(crate) fn need(&mut self) {
        self.is_needed = true;
    }

    /// A token that stands for now.
    pub(crate) fn token(&self, now: Moment) -> String {
        format!("{}-{}", self.process, now.since(self.started).as_micros())
    }

    /// Takes a lease of `length`, counted from the token; whether it lasts longer than what was granted before.
    pub(crate) fn grant(&mut self, token: &[u8], length: Duration, now: Moment) -> bool {
        let Some(issued) = self.issued(token).filter(|issued| *issued <= now) else { return false };
        let length = length.min(LEASE_MAX);
        self.longest = self.longest.max(length);
        let until = issued.plus(length);
        let is_longer = until > self.until;
        self.until = self.until.max(until);
        self.is_needed |= is_longer;
        self.was_granted |= is_longer;
        is_longer
    }

    fn issued(&self, token: &[u8]) -> Option<Moment> {
        let (process, micros) = std::str::from_utf8(token).ok()?.rsplit_once('-')?;
        let since = Duration::from_micros(micros.parse().ok()?);
        (process == self.process).then(|| self.started.plus(since))
    }

    /// Until when it lasts, a moment in the past before the first; `None` if no lease is needed.
    pub(crate) fn limit(&self) -> Option<Moment> {
        self.is_needed.then_some(self.until)
    }

    /// Whether this process was ever granted one that had not run out: then some view that it was given was of use when it
    /// was given, and none that is older is taken since.
    pub(crate) fn was_granted(&self) -> bool {
        self.was_granted
    }

    /// The longest that was ever granted: coordinators that grant shorter ones have to wait that long, too.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// Until when it lasts; a moment in the past if it has run out.
    pub(crate) fn until(&self) -> Moment {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_its_token() {
        let begun = Moment(Duration::from_secs(1000));
        let at = |ms: u64| begun.plus(Duration::from_millis(ms));
        // What was granted before, token, length, when it comes, until when it lasts then.
        for (token, length, now, until) in [
            ("me-100000", 400, 150, 500),
            ("me-100000", 400, 10_000, 500),
            ("me-100000", 4_000_000_000, 150, 100 + 3_600_000),
            ("other-100000", 400, 150, 0),
            ("me-200000", 400, 150, 0),
            ("me-x", 400, 150, 0),
            ("me", 400, 150, 0),
        ] {
            let mut lease = Lease::new("me", begun);
            let longer = lease.grant(token.as_bytes(), Duration::from_millis(length), at(now));
            assert_eq!((lease.until(), longer), (at(until), until > 0), "{token} {length} at {now}");
        }
        let mut lease = Lease::new("me-too", begun);
        assert!(lease.grant(
            lease.token(at(7)).as_bytes().to_vec().as_slice(),
            Duration::from_millis(400),
            at(8)
        ));
        assert!(
            !lease.grant(b"me-too-0", Duration::from_millis(400), at(9)),
            "an older one takes nothing away"
        );
        assert_eq!(lease.until(), at(407));
    }

    #[test]
    fn whether_one_is_needed() {
        let begun = Moment(Duration::from_secs(1000));
        let later = begun.plus(Duration::from_millis(100));
        let mut lease = Lease::new("me", begun);
        assert_eq!(lease.limit(), None, "alone");
        assert!(!lease.grant(b"other-0", Duration::from_millis(400), later));
        assert_eq!(lease.limit(), None, "what was granted to another process says nothing");
        assert!(lease.grant(b"me-0", Duration::from_millis(400), later));
        assert_eq!(lease.limit(), Some(begun.plus(Duration::from_millis(400))), "granted");
        let mut lease = Lease::new("me", begun);
        lease.need();
        assert_eq!(lease.limit(), Some(begun), "told that one is needed, and not granted any");
    }
}
