//! Whether this process has stood still: it was stopped (SIGSTOP), its machine slept, or it got no processor.
//!
//! Who asked for a change meanwhile has given up, looked elsewhere, and may have done something else since. So what was
//! asked before or during such a time is not done after it. Nothing tells how long bytes have lain in the kernel; but what
//! comes over a connection that was made after the process goes on again was asked after that. The interleavings:
//!
//! ```text
//!   S: stands still   G: goes on   a: connection accepted   r: request read   c: change committed
//!
//!   a r S G c     it waits for the store, or for its turn        the ledger looks before each attempt: refused
//!   a S G r c     its bytes were in the kernel's buffer          the connection is older than G: refused, and closed
//!   S G a r c     the connection was in the kernel's queue of    accepted within [`SETTLING_MS`] of G: refused, and
//!                 those to be accepted, with its request         closed. An idle server empties that queue at once; one
//!                 in it                                          that takes longer stands still by its own tick, again
//!   a r S c       the attempt was under way, the store has it    made, on just the metadata that it was decided on: the
//!                                                                store refuses it when they have changed
//!   (closed) r c  the caller closes while it waits               the ledger looks before each attempt: not done
//! ```
//! Whoever looks first after the process goes on notices, be it the tick or the first request. What is shorter than
//! [`STALL_MS`] is not noticed, and no caller gives up in that time. A virtual machine whose host stops it without telling
//! shows that on no clock of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Moment;
use rustix::time::{ClockId, clock_gettime};

/// A process that has not looked for longer than this has stood still, in milliseconds. Shorter than any caller waits.
const STALL_MS: u64 = 500;
/// For how long after it goes on a connection may still come from the time before, in milliseconds. Not shorter than
/// [`STALL_MS`]: a server that accepts nothing for so long stands still again.
const SETTLING_MS: u64 = 500;
/// Between two looks while nobody asks.
const TICK: Duration = Duration::from_millis(50);

/// What is known of the times in which the process stood still. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stalls(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    /// When somebody looked last.
    looked: Moment,
    /// When it went on after it had stood still last; none before the first time.
    resumed: Option<Moment>,
    /// How often it has stood still.
    count: u64,
}

/// From when a change is asked for: to be asked before it is made whether that still holds.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    stalls: Stalls,
    count: u64,
}

/// The process stood still since a connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this broker stood still for a time: what was asked of it until then is not done; ask again")]
pub(crate) struct StoodStill;

/// Now, by a clock that runs on while the machine sleeps.
#[must_use]
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    Moment(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

impl Default for Stalls {
    fn default() -> Self {
        Self::since(now())
    }
}

impl Stalls {
    fn since(now: Moment) -> Self {
        Self(Arc::new(Mutex::new(Seen { looked: now, resumed: None, count: 0 })))
    }

    /// Looks again and again, until it is dropped.
    pub(crate) async fn follow(self) {
        loop {
            self.look(now());
            tokio::time::sleep(TICK).await;
        }
    }

    /// A change is asked for now, over a connection that was accepted then.
    ///
    /// # Errors
    /// [`StoodStill`] when it may have been asked for before the process went on.
    pub(crate) fn ask(&self, accepted: Moment, now: Moment) -> Result<Asked, StoodStill> {
        let (count, resumed) = self.look(now);
        let settling = Duration::from_millis(SETTLING_MS);
        match resumed {
            Some(resumed) if accepted < resumed.plus(settling) => Err(StoodStill),
            _ => Ok(Asked { stalls: self.clone(), count }),
        }
    }

    /// Notes that the process runs now; how often it has stood still, and when it went on last.
    pub(crate) fn look(&self, now: Moment) -> (u64, Option<Moment>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(seen.looked) > Duration::from_millis(STALL_MS) {
            tracing::warn!(for_ms = now.since(seen.looked).as_millis(), "this process stood still");
            (seen.resumed, seen.count) = (Some(now), seen.count + 1);
        }
        seen.looked = seen.looked.max(now);
        (seen.count, seen.resumed)
    }
}

impl Asked {
    /// Whether the process stood still since the change was asked for.
    pub(crate) fn is_from_before(&self, now: Moment) -> bool {
        self.stalls.look(now).0 != self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(Duration::from_millis(1_000_000 + ms))
    }

    #[test]
    fn what_was_asked_before_it_went_on_is_not_done() {
        // When it looked, when the connection was accepted, when the request is read; whether it is taken.
        for (looks, accepted, read, is_taken) in [
            (&[50, 100][..], 40, 110, true),
            (&[50, 540][..], 40, 541, true),
            // The tick notices first, or the request itself does.
            (&[50, 20_000][..], 40, 20_001, false),
            (&[50][..], 40, 20_000, false),
            (&[50][..], 20_000, 20_000, false),
            (&[50, 20_000][..], 20_010, 20_011, false),
            (&[50, 20_000, 20_400][..], 20_499, 20_499, false),
            (&[50, 20_000, 20_400][..], 20_500, 20_501, true),
            // Long after, over the old connection.
            (&[50, 20_000, 20_400, 20_800][..], 40, 20_900, false),
            // Once more, before it has settled.
            (&[50, 20_000, 20_501][..], 20_500, 20_502, false),
        ] {
            let stalls = Stalls::since(at(0));
            for look in looks {
                stalls.look(at(*look));
            }
            let asked = stalls.ask(at(accepted), at(read));
            assert_eq!(asked.is_ok(), is_taken, "looked at {looks:?}, {accepted}, {read}");
        }
    }

    #[test]
    fn what_waits_while_it_stands_still_is_from_before() {
        let stalls = Stalls::since(at(0));
        let asked = stalls.ask(at(10), at(20)).unwrap();
        assert!(!asked.is_from_before(at(400)));
        assert!(asked.is_from_before(at(20_000)));
        assert!(asked.is_from_before(at(20_001)), "it stays so");
    }
}
