//! Waiting for something to become true, with a deadline. Tests never sleep for a guessed time: they poll
//! through here, so a slow machine makes them slower and not wrong.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a poll rests between two looks at its condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A moment after which waiting is a failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that lies `within` from now.
    #[must_use]
    pub fn within(within: Duration) -> Self {
        Self(Instant::now() + within)
    }

    /// What is left of the time; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the time is over.
    #[must_use]
    pub fn passed(self) -> bool {
        self.remaining().is_zero()
    }
}

/// Polls `condition` until it answers true.
///
/// # Errors
/// When the deadline passes first; `what` says what was waited for.
pub fn wait_until(deadline: Deadline, what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    loop {
        if condition() {
            return Ok(());
        }
        if deadline.passed() {
            bail!("waited in vain until {what}");
        }
        std::thread::sleep(POLL_INTERVAL.min(deadline.remaining()));
    }
}

/// Polls `attempt` until it succeeds and hands back its value.
///
/// # Errors
/// When the deadline passes first: the last attempt's own error, with `what` as context.
pub fn retry_until<T>(deadline: Deadline, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if deadline.passed() => {
                return Err(error).with_context(|| format!("waited in vain until {what}"));
            }
            Err(_) => std::thread::sleep(POLL_INTERVAL.min(deadline.remaining())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_never_holds_ends_at_the_deadline() {
        let deadline = Deadline::within(Duration::from_millis(20));
        let error = wait_until(deadline, "pigs fly", || false).expect_err("must fail");
        assert!(error.to_string().contains("pigs fly"));
        assert!(deadline.passed());
    }

    #[test]
    fn the_last_error_is_reported() {
        let mut tries = 0;
        let error = retry_until(Deadline::within(Duration::from_millis(20)), "it works", || {
            tries += 1;
            bail!("try {tries} failed") as Result<()>
        })
        .expect_err("must fail");
        assert!(tries > 1, "polled {tries} times");
        assert_eq!(error.root_cause().to_string(), format!("try {tries} failed"));
    }
}
