//! Reading the metadata again and again, for the turns and for the leases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use control_core::{State, Timing};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::leases::Leases;
use super::metadata::MetadataSource;
use super::pace::Pace;

/// Between two readings.
const READ_INTERVAL: Duration = Duration::from_millis(50);
/// Between two questions for a change.
const CHANGE_PAUSE: Duration = Duration::from_millis(5);
/// The same when no broker answers.
const CHANGE_RETRY_PAUSE: Duration = Duration::from_millis(200);
/// A reading takes at most this share of the time: one in so many parts.
const SHARE: u32 = 4;

/// What was read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The metadata; the same `Arc` for as long as nothing changes.
    pub(crate) state: Arc<State>,
    /// When the reading began.
    pub(crate) at: Instant,
}

/// The task's equipment.
pub(crate) struct Reader<M> {
    pub(crate) metadata: M,
    /// The configured pace.
    pub(crate) interval: Duration,
    pub(crate) timing: Timing,
    /// Asks for a reading at once.
    pub(crate) now: Arc<Notify>,
    pub(crate) readings: watch::Sender<Option<Reading>>,
    pub(crate) leases: watch::Sender<Leases>,
    pub(crate) pace: watch::Sender<Pace>,
}

impl<M: MetadataSource> Reader<M> {
    /// Reads for ever; ends by being aborted.
    pub(crate) async fn run(self) {
        let mut is_cut_off = false;
        loop {
            let at = Instant::now();
            match self.metadata.read().await {
                Ok(state) => {
                    if std::mem::take(&mut is_cut_off) {
                        info!("the metadata can be read again");
                    }
                    self.publish(Reading { state, at });
                }
                // No lease is granted by what was read before: those who have one keep it till it ends.
                Err(error) if !is_cut_off => {
                    warn!(%error, "the metadata cannot be read: nothing is changed until it can");
                    is_cut_off = true;
                }
                Err(_) => {}
            }
            let pause = READ_INTERVAL.max(at.elapsed() * SHARE);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.now.notified() => {}
            }
        }
    }

    /// Has the metadata read at once when it has changed, for ever; ends by being aborted.
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

    fn publish(&self, reading: Reading) {
        let pace = Pace::of(reading.state.proxies.len(), self.interval, self.timing);
        let is_same =
            self.readings.borrow().as_ref().is_some_and(|before| Arc::ptr_eq(&before.state, &reading.state));
        let lease_ms = pace.timing.lease_ms;
        let leases = match is_same {
            true => self.leases.borrow().again(lease_ms, reading.at),
            false => Leases::of(&reading.state, lease_ms, reading.at),
        };
        self.leases.send_replace(leases);
        self.pace.send_if_modified(|current| std::mem::replace(current, pace) != pace);
        self.readings.send_replace(Some(reading));
    }
}
