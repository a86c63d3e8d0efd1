//! The lease by which this proxy may serve writes although no replica is attached to its primary. Pure.
//!
//! A lease counts from when this proxy issued the token that the grant carries back, however long the grant was
//! on its way. Tokens of an earlier process of this proxy mean nothing here.

use std::time::{Duration, Instant};

/// A longer lease is not taken: nobody would be promoted for as long.
const LEASE_MAX: Duration = Duration::from_secs(3600);

/// What was granted.
#[derive(Debug)]
pub(super) struct Lease {
    started: Instant,
    /// Tells this process's tokens from those of another.
    process: String,
    until: Instant,
    longest: Duration,
}

impl Lease {
    /// None yet. `process` names this process and no other.
    pub(super) fn new(process: &str, now: Instant) -> Lease {
        Lease { started: now, process: process.to_owned(), until: now, longest: Duration::ZERO }
    }

    /// A token that stands for now.
    pub(super) fn token(&self, now: Instant) -> String {
        format!("{}-{}", self.process, now.saturating_duration_since(self.started).as_micros())
    }

    /// Takes a lease of `length`, counted from the token; whether it lasts longer than what was granted before.
    pub(super) fn grant(&mut self, token: &[u8], length: Duration, now: Instant) -> bool {
        let Some(issued) = self.issued(token).filter(|issued| *issued <= now) else { return false };
        let length = length.min(LEASE_MAX);
        self.longest = self.longest.max(length);
        let until = issued + length;
        let is_longer = until > self.until;
        self.until = self.until.max(until);
        is_longer
    }

    fn issued(&self, token: &[u8]) -> Option<Instant> {
        let (process, micros) = std::str::from_utf8(token).ok()?.rsplit_once('-')?;
        let since = Duration::from_micros(micros.parse().ok()?);
        if process == self.process { self.started.checked_add(since) } else { None }
    }

    /// Until when it lasts; none if none was ever granted.
    pub(super) fn granted_until(&self) -> Option<Instant> {
        (self.until > self.started).then_some(self.until)
    }

    /// The longest that was ever granted: coordinators that grant shorter ones have to wait that long, too.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// Until when it lasts; a moment in the past if it has run out.
    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_its_token() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
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
}
