//! Reading the metadata again and again, for the turns and for the leases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use control_core::{LeaseTerms, READ_INTERVAL, ReadingNote, Timing, pause_after_reading};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::clock::Clock;
use super::hearing::HearingHere;
use super::metadata::{MetadataSource, Reading};
use super::probe_pace::ProbePace;

/// Between two questions for a change.
const CHANGE_PAUSE: Duration = Duration::from_millis(5);
/// Between two questions for a change when no broker answers.
const CHANGE_RETRY_PAUSE: Duration = Duration::from_millis(200);
/// A proxy is called silent when it has not answered for that many probe intervals.
const SILENT_INTERVALS: u32 = 2;

/// The task's equipment.
pub(crate) struct Reader<M> {
    pub(crate) metadata: M,
    /// The configured pace.
    pub(crate) interval: Duration,
    pub(crate) timing: Timing,
    /// Asks for a reading at once.
    pub(crate) now: Arc<Notify>,
    pub(crate) readings: watch::Sender<Option<Reading>>,
    pub(crate) terms: watch::Sender<LeaseTerms>,
    pub(crate) clock: Clock,
    /// Which proxies are heard.
    pub(crate) hearing: HearingHere,
    pub(crate) pace: watch::Sender<ProbePace>,
}

impl<M: MetadataSource> Reader<M> {
    /// Reads until the task is aborted.
    pub(crate) async fn run(self) {
        let mut is_cut_off = false;
        loop {
            let mut pause = READ_INTERVAL;
            let (note, noted_at) = self.note();
            match self.metadata.read(&note).await {
                Ok(reading) => {
                    if std::mem::take(&mut is_cut_off) {
                        info!("the metadata can be read again");
                    }
                    let took = reading.at.elapsed();
                    self.publish(reading, (note, noted_at));
                    pause = pause_after_reading(took, self.pace.borrow().timing.lease_ms);
                }
                // No lease is granted by what was read before: those who have one keep it till it ends.
                Err(error) if !is_cut_off => {
                    warn!(%error, "the metadata cannot be read: nothing is changed until it can");
                    is_cut_off = true;
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.now.notified() => {}
            }
        }
    }

    /// Has the metadata read at once when it has changed, until the task is aborted.
    pub(crate) async fn follow_changes(metadata: M, now: Arc<Notify>) {
        loop {
            match metadata.changed().await {
                Ok(true) => now.notify_one(),
                Ok(false) => {}
                Err(_) => tokio::time::sleep(CHANGE_RETRY_PAUSE).await,
            }
            // A change is told again until it has been read.
            tokio::time::sleep(CHANGE_PAUSE).await;
        }
    }

    /// What is said with a reading that begins now.
    fn note(&self) -> (ReadingNote, Instant) {
        let known = self.readings.borrow().as_ref().map(|reading| Arc::clone(&reading.state));
        let silence = self.pace.borrow().interval * SILENT_INTERVALS;
        self.hearing.begin(known.iter().flat_map(|state| state.proxies.keys()), silence)
    }

    /// Hands out what was read; `(note, noted_at)`: what was said with it, and when.
    fn publish(&self, reading: Reading, (note, noted_at): (ReadingNote, Instant)) {
        let pace = ProbePace::of(reading.state.proxies.len(), self.interval, self.timing);
        let is_same =
            self.readings.borrow().as_ref().is_some_and(|before| Arc::ptr_eq(&before.state, &reading.state));
        let lease_ms = pace.timing.lease_ms;
        let read_at = self.clock.moment(reading.at);
        let terms = if is_same {
            self.terms.borrow().again(lease_ms, read_at)
        } else {
            LeaseTerms::of(&reading.state, lease_ms, read_at)
        };
        if !is_same {
            self.hearing.keep(|proxy| reading.state.proxies.contains_key(proxy));
        }
        self.terms.send_replace(terms.noted(note.silent, self.clock.moment(noted_at)));
        self.pace.send_if_modified(|current| std::mem::replace(current, pace) != pace);
        self.readings.send_replace(Some(reading));
    }
}

#[cfg(test)]
mod tests {
    use control_core::{Command, Reply};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::coordinator::metadata::MetadataError;

    /// How long the broker hangs with the first reading.
    const HANGING: Duration = Duration::from_millis(500);

    /// Metadata whose first reading hangs and then fails or not.
    #[derive(Clone)]
    struct HangsOnce {
        readings: Arc<AtomicUsize>,
        fails: bool,
    }

    impl MetadataSource for HangsOnce {
        async fn read(&self, _: &ReadingNote) -> Result<Reading, MetadataError> {
            let at = Instant::now();
            if self.readings.fetch_add(1, Ordering::Relaxed) == 0 {
                tokio::time::sleep(HANGING).await;
                if self.fails {
                    return Err(MetadataError::Unreachable("it hung".to_owned()));
                }
            }
            Ok(Reading::new(Arc::default(), at))
        }

        async fn changed(&self) -> Result<bool, MetadataError> {
            Ok(false)
        }

        async fn apply(&self, _: Command) -> Result<Reply, MetadataError> {
            Err(MetadataError::Unreachable("not asked for".to_owned()))
        }

        async fn observe(&self, _: api::v4::Observations) {}

        fn brokers(&self) -> Vec<String> {
            Vec::new()
        }

        fn set_brokers(&self, _: Vec<String>) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn a_reading_that_hung_is_followed_by_another_soon() {
        for fails in [true, false] {
            let timing = Timing::default();
            let interval = Duration::from_millis(50);
            let (readings, mut read) = watch::channel(None);
            let reader = Reader {
                metadata: HangsOnce { readings: Arc::default(), fails },
                interval,
                timing,
                now: Arc::default(),
                readings,
                terms: watch::channel(LeaseTerms::none()).0,
                clock: Clock::new(),
                hearing: HearingHere::new(Clock::new()),
                pace: watch::channel(ProbePace::of(1, interval, timing)).0,
            };
            let begun = Instant::now();
            let task = tokio::spawn(reader.run());
            let is_later = |reading: &Option<Reading>| {
                reading.as_ref().is_some_and(|reading| reading.at >= begun + HANGING)
            };
            let again = tokio::time::timeout(HANGING * 3, read.wait_for(is_later)).await;
            assert!(again.is_ok(), "not read again; failed: {fails}");
            task.abort();
        }
    }
}
