//! How long the limit of leases has stood, by the clock of the broker that is asked to shorten it.

use std::time::Duration;

use model::Moment;

use crate::command::Command;
use crate::error::ApplyError;
use crate::state::{LeaseLimit, State};

/// How much longer than a lease its end is waited for, as a fraction: clocks run at slightly different speeds.
pub(crate) const CLOCK_DRIFT_DIVISOR: u64 = 20;

/// How long the end of a lease is waited for, in milliseconds.
pub(crate) const fn lease_end_ms(lease_ms: u64) -> u64 {
    lease_ms + lease_ms / CLOCK_DRIFT_DIVISOR
}

/// When a broker first saw the limit that stands.
///
/// **Contract.** As [`crate::FenceClock`] has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LeaseClock(Option<(LeaseLimit, Moment)>);

impl LeaseClock {
    /// Notes the limit of a state.
    pub(crate) fn note(&mut self, state: &State, now: Moment) {
        let limit = state.lease_limit;
        if self.0.is_none_or(|(before, _)| before != limit) {
            self.0 = Some((limit, now));
        }
    }

    /// Whether a command may be applied as far as time goes.
    ///
    /// # Errors
    /// [`ApplyError::Retry`] where it says that long leases have run out, and they may not have.
    pub(crate) fn check(&self, command: &Command, now: Moment) -> Result<(), ApplyError> {
        let (from, to) = match command {
            Command::IfUnchanged { command, .. } => return self.check(command, now),
            Command::LimitLeases { from, to } => (from, to),
            _ => return Ok(()),
        };
        let since = self.0.filter(|(limit, _)| limit == from).map(|(_, since)| since);
        let stood = since.map_or(Duration::ZERO, |since| now.since(since));
        if to.held_ms < from.held_ms && stood < Duration::from_millis(lease_end_ms(from.held_ms)) {
            return Err(ApplyError::Retry("longer leases may still be held"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_run_out_by_the_clock_of_the_broker() {
        let from = LeaseLimit::default().raised(5_000).lowered(400);
        let (mut clock, mut state) = (LeaseClock::default(), State::default());
        state.lease_limit = from;
        let ms = |ms: u64| Moment(Duration::from_millis(ms));
        let end = Command::LimitLeases { from, to: from.ended() };
        assert!(clock.check(&end, ms(100_000)).is_err(), "nothing was seen yet");
        clock.note(&state, ms(100));
        clock.note(&state, ms(5_000));
        assert!(clock.check(&end, ms(5_300)).is_err());
        assert!(clock.check(&end, ms(5_350)).is_ok());
        // Raising and lowering need no time.
        let raise = Command::LimitLeases { from, to: from.raised(1_000) };
        assert!(clock.check(&raise, ms(100)).is_ok());
    }
}
