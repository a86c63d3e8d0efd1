//! Who has read the metadata here, and what was said with that; and this process's clock for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use control_core::{ApplyError, Command, FenceClock, ReadingNote, Readings, State, leases_left};
use model::{Address, Moment};
use tokio::time::Instant;

/// All readings of the metadata of this process, where it knows all that there are: no other process gives out the same.
#[derive(Debug)]
pub(super) struct ReadingLog {
    started: Instant,
    readings: Option<Mutex<Readings>>,
}

impl ReadingLog {
    /// Of a process that has just opened its store, which others may use or not.
    pub(super) fn new(is_shared: bool) -> Self {
        let readings = (!is_shared).then(|| Mutex::new(Readings::new(Moment::default())));
        Self { started: Instant::now(), readings }
    }

    /// How long this process has run, by a clock that nobody sets.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.started.elapsed())
    }

    /// Somebody reads, and says this. To be called before it is looked at what is answered.
    pub(super) fn note(&self, note: Option<ReadingNote>) {
        let Some(readings) = &self.readings else { return };
        let mut readings = readings.lock().unwrap_or_else(PoisonError::into_inner);
        // In the lock, so that what is noted later has a later time.
        readings.note(note, self.moment());
    }

    /// How much longer a lease may last of each proxy that a fence is to stop, in milliseconds; none where that is not known.
    pub(super) fn leases_left(&self, state: &State) -> BTreeMap<Address, u64> {
        let Some(readings) = &self.readings else { return BTreeMap::new() };
        let readings = readings.lock().unwrap_or_else(PoisonError::into_inner);
        let left = leases_left(state, &readings, self.moment());
        // Up to the next whole one: whoever waits that long is not refused.
        left.into_iter().map(|(proxy, left)| (proxy, left.as_micros().div_ceil(1_000) as u64)).collect()
    }

    /// As [`FenceClock::check`].
    pub(super) fn check(
        &self,
        fences: &FenceClock,
        state: &State,
        command: &Command,
    ) -> Result<(), ApplyError> {
        let readings =
            self.readings.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner));
        fences.check(state, command, readings.as_deref(), self.moment())
    }
}
