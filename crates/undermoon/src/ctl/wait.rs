//! Waiting until something long is done, with its progress, rate and time left on standard error.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use api::{BrokerClient, ClientError};
use control_core::State;
use indicatif::{ProgressBar, ProgressStyle};

use super::connection::Follower;
use super::error::CtlError;

/// How long one look waits for a change, and so how often the time left is redrawn.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// The pause before brokers are asked again that could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The pause between two looks at what coordinators see.
const SEEN_PAUSE: Duration = Duration::from_millis(50);

/// How often a line is written where there is no terminal to draw on.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Whether to wait, and how long
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Patience {
    /// Do not wait until the change is done
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Give up waiting when nothing has progressed for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl Patience {
    /// For how long nothing may progress.
    pub(super) const fn limit(self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// How far something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// How much of it is done.
    pub done: usize,
    /// How much there is to do.
    pub total: usize,
    /// Whether nothing is left to be waited for.
    pub is_complete: bool,
}

impl Progress {
    /// `done` of `total`.
    pub(super) const fn of(done: usize, total: usize) -> Self {
        Self { done, total, is_complete: done >= total }
    }
}

/// What is waited for, in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    /// Such as "cluster mydb".
    pub name: &'a str,
    /// What is counted, such as "shards ready".
    pub unit: &'a str,
    /// What to do when nothing progresses.
    pub advice: &'a str,
}

/// Waits until `measure` finds it complete. Answers how long that took.
pub(super) async fn until_done(
    client: &BrokerClient,
    patience: Patience,
    task: Task<'_>,
    mut measure: impl FnMut(&State) -> Result<Progress, CtlError>,
) -> Result<Duration, CtlError> {
    let started = Instant::now();
    let mut meter = Meter::new(task, started);
    let mut follower = Follower::new(client);
    let mut progressed = started;
    let mut last: Option<Progress> = None;
    loop {
        let problem = match follower.newer(LOOK_WAIT).await {
            Ok(Some(state)) => {
                let progress = measure(&state)?;
                if progress.is_complete {
                    meter.end();
                    return Ok(started.elapsed());
                }
                if last.as_ref() != Some(&progress) {
                    progressed = Instant::now();
                }
                last = Some(progress);
                None
            }
            Ok(None) => None,
            // The broker has accepted the change, and the coordinators can go on without this broker.
            Err(CtlError::Call(
                error @ (ClientError::Unreachable { .. } | ClientError::BadAnswer { .. }),
            )) => {
                tokio::time::sleep(RETRY_PAUSE).await;
                Some(error.to_string())
            }
            Err(error) => return Err(error),
        };
        if let Some(progress) = &last {
            meter.show(progress);
        }
        if progressed.elapsed() >= patience.limit() {
            meter.end();
            return Err(stuck(task, patience, last.as_ref(), problem));
        }
    }
}

/// Waits until `holds`, of which the metadata alone does not tell.
pub(super) async fn until_so(
    patience: Patience,
    task: Task<'_>,
    mut holds: impl AsyncFnMut() -> Result<bool, CtlError>,
) -> Result<(), CtlError> {
    let started = Instant::now();
    loop {
        let problem = match holds().await {
            Ok(true) => return Ok(()),
            Ok(false) => None,
            Err(CtlError::Call(
                error @ (ClientError::Unreachable { .. } | ClientError::BadAnswer { .. }),
            )) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        if started.elapsed() >= Duration::from_secs(patience.timeout) {
            return Err(stuck(task, patience, None, problem));
        }
        tokio::time::sleep(SEEN_PAUSE).await;
    }
}

fn stuck(task: Task<'_>, patience: Patience, last: Option<&Progress>, problem: Option<String>) -> CtlError {
    let Task { name, unit, advice } = task;
    let how_far = last.map_or_else(String::new, |last| format!(" ({} of {} {unit})", last.done, last.total));
    let why = problem.map_or_else(String::new, |problem| format!("; {problem}"));
    CtlError::NotYet {
        what: format!("{name}: nothing has progressed for {} s{how_far}{why}", patience.timeout),
        advice: advice.to_owned(),
    }
}

/// Draws progress on a terminal, or writes a line now and then where there is none.
struct Meter<'a> {
    task: Task<'a>,
    /// What is drawn; `None` before there is something to draw.
    bar: Option<ProgressBar>,
    started: Instant,
    /// How much was done at the first look: that is not this wait's doing.
    begun: Option<usize>,
    written: Instant,
}

impl<'a> Meter<'a> {
    const fn new(task: Task<'a>, started: Instant) -> Self {
        Self { task, bar: None, started, begun: None, written: started }
    }

    fn show(&mut self, progress: &Progress) {
        let begun = *self.begun.get_or_insert(progress.done);
        let pace = pace(progress.done.saturating_sub(begun), progress, self.started.elapsed());
        let Task { name, unit, .. } = self.task;
        if std::io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| drawn(name, unit));
            bar.set_message(format!("{unit}{pace}"));
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
        } else if self.written.elapsed() >= LINE_INTERVAL {
            self.written = Instant::now();
            eprintln!("{name}: {} of {} {unit}{pace}", progress.done, progress.total);
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn drawn(name: &str, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}, {elapsed}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style).with_prefix(name.to_owned()).with_message(unit.to_owned())
}

/// Rate and time left, as far as they can be told: `, 120.0/s, 34 s left`.
fn pace(gained: usize, progress: &Progress, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if gained == 0 || seconds <= 0.0 {
        return String::new();
    }
    // Slots and shards are few: a float holds them exactly.
    #[expect(clippy::cast_precision_loss, reason = "numbers far below 2^52")]
    let (rate, left) = (gained as f64 / seconds, progress.total.saturating_sub(progress.done) as f64);
    format!(", {rate:.1}/s, {:.0} s left", (left / rate).ceil())
}

/// A duration as a person says it.
pub(super) fn spoken(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis())
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Progress, pace, spoken};

    #[test]
    fn rate_and_time_left() {
        fn check(gained: usize, done: usize, total: usize, ms: u64, expected: &str) {
            assert_eq!(pace(gained, &Progress::of(done, total), Duration::from_millis(ms)), expected);
        }
        check(0, 5, 10, 1000, "");
        check(100, 200, 1000, 2000, ", 50.0/s, 16 s left");
        check(1, 3, 4, 10_000, ", 0.1/s, 10 s left");
        check(4, 4, 4, 1000, ", 4.0/s, 0 s left");
        check(1, 1, 4, 0, "");
    }

    #[test]
    fn durations() {
        assert_eq!(spoken(Duration::from_millis(42)), "42 ms");
        assert_eq!(spoken(Duration::from_millis(3240)), "3.2 s");
    }
}
