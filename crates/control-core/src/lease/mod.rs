//! Granting leases: which proxies may have one, by which of their tokens, and when it is due. No clock and no IO: a shell
//! says when something happened.
//!
//! A lease ends at most its length after the metadata was read that allowed it, however long the granting
//! coordinator then slept. So it counts from when the proxy issued the token that the grant carries back, and the
//! reading must have begun after that token came.
//!
//! ```text
//!   proxy         token t ─────────┐                        lease ends at t + lease_ms at the latest
//!   coordinator A                  └─▶ reads state (no fence) ─── sleeps ─── grants t
//!   coordinator B                               fence committed ───── lease_ms ─────▶ promotes
//! ```
//!
//! And after the promotion there is no fence any more, but a proxy that has not heard of it would still serve what it
//! had: so a lease is only for the view that this state gives it, or a newer one of the same metadata; one that is newer
//! than all that they have given out says that they are old.
//!
//! **Contract.** A shell has one [`Tokens`] for each proxy, for as long as it probes that proxy, and one [`LeaseTerms`]
//! for each reading of the metadata. For each probe it calls [`Tokens::grant`] before it sends the probe, and
//! [`Tokens::answered`] when an answer has come. Between two probes it calls [`Tokens::hurries`] at each new
//! reading. A probe and a reading may overlap in any way: several tokens are held, so it does not matter which of the two
//! is ahead.

mod cadence;
mod clock;
mod readings;
mod terms;
mod tokens;

pub use cadence::{READ_INTERVAL, pause_after_reading};
pub(crate) use clock::{CLOCK_DRIFT_DIVISOR, LeaseClock, lease_end_ms};
pub use readings::{Hearing, ReadingNote, Readings};
pub use terms::{LeaseTerms, lease_epoch};
pub use tokens::{Grant, ProbeAnswer, TOKENS_HELD_MAX, Tokens};

#[cfg(test)]
mod tests;
