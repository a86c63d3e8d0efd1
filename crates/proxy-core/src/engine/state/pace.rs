//! How fast things happen in a worker, to decide whether a short nap gathers enough work to be worth it.
//!
//! Waking a thread costs more than reading a socket. Where many clients are served, a worker that goes back to the
//! kernel's wait after each event is woken for each of them, and so are the node and the clients for each of its
//! small writes. A nap of a few tens of microseconds then turns many wake-ups into one.
//!
//! Right after requests were sent on to a node, its replies are the next thing that clients wait for, and they come
//! together: no nap is taken then, but after the turn that passes them on. Where there are enough sessions that each waits
//! in queues for much longer than a nap, or send many requests at once, batches matter more than a nap's time, and
//! one follows each turn.
//!
//! It is taken only while events come so fast that several are expected in it, and it lasts at most a fraction of
//! the time that passes between two requests of one session. So it is never taken at low load or for a handful of
//! clients, and clients that wait for each answer lose no more than that fraction of their throughput even if
//! nothing but the nap holds them up. Sessions that send many requests at once wait for the last of the answers, and
//! fewer of them make a load: for those a nap may be longer. So it may where very many sessions keep the worker busy:
//! each of them waits for the others much longer than for the nap.

use super::policy::Policy;

/// Time over which the rate of events is averaged, µs.
const RATE_WINDOW_US: f32 = 1000.0;
/// Longer times between two requests of a session count as this, µs.
const GAP_US_MAX: u32 = 10_000;
/// Sessions that send more than this at once, on average, wait for the last of the answers.
const DEPTH_ONE: f32 = 1.5;
/// More requests in one read count as this.
const DEPTH_MAX: u32 = 64;
/// Weight of a new value in the averages.
const GAP_WEIGHT: f32 = 1.0 / 64.0;

/// The recent past of a worker.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Pace {
    last_us: u64,
    /// Sessions read from in the current turn.
    reads: u32,
    /// Reads from sessions per µs, averaged.
    rate: f32,
    /// Between two reads from one session, µs, averaged.
    gap_us: f32,
    /// Requests in one read, averaged.
    depth: f32,
    /// More sessions were read from in the last turn than were answered.
    asked: bool,
}

impl Pace {
    /// A session was read from again after `gap_us`.
    #[inline]
    pub(in crate::engine) fn read(&mut self, gap_us: u32) {
        self.reads += 1;
        self.gap_us += (gap_us.min(GAP_US_MAX) as f32 - self.gap_us) * GAP_WEIGHT;
    }

    /// A read held `count` requests.
    #[inline]
    pub(in crate::engine) fn requests(&mut self, count: u32) {
        self.depth += (count.min(DEPTH_MAX) as f32 - self.depth) * GAP_WEIGHT;
    }

    /// A turn that answers `answered` sessions ends at `now_us`.
    #[inline]
    pub(in crate::engine) fn turn(&mut self, now_us: u64, answered: usize) {
        let passed = now_us.saturating_sub(self.last_us) as f32;
        self.last_us = now_us;
        let kept = (1.0 - passed / RATE_WINDOW_US).max(0.0);
        self.rate = self.rate * kept + self.reads as f32 / RATE_WINDOW_US;
        self.asked = self.reads as usize > answered;
        self.reads = 0;
    }

    /// How long to nap before looking for events again, µs; 0 where a nap is not worth it.
    #[inline]
    pub(in crate::engine) fn nap_us(&self, policy: &Policy) -> u64 {
        if self.asked && self.gap_us < policy.answers_first_us_max && self.depth < DEPTH_ONE {
            return 0;
        }
        let nap_max = policy.nap_us_max as f32 * self.depth.clamp(1.0, policy.nap_depth_max);
        let nap = (self.gap_us * policy.nap_fraction).min(nap_max).max(self.busy_nap_us(policy));
        if nap * self.rate >= policy.nap_reads_min { nap as u64 } else { 0 }
    }

    /// The nap that many sessions together are worth; 0 where the worker is not busy.
    #[inline]
    fn busy_nap_us(&self, policy: &Policy) -> f32 {
        if self.rate < policy.busy_reads_per_us {
            return 0.0;
        }
        (self.gap_us * policy.nap_busy_fraction).min(policy.nap_us_busy_max as f32)
    }
}
