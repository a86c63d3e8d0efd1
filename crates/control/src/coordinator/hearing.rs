//! Which proxies are heard, shared by the probes, which hear them, and by the task that reads the metadata.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use control_core::{Hearing, ReadingNote};
use model::Address;

use super::clock::Clock;

/// Times are taken in its lock, so that they are in the order of what happens. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct HearingHere {
    clock: Clock,
    hearing: Arc<Mutex<Hearing>>,
}

impl HearingHere {
    /// Nothing was heard yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, hearing: Arc::new(Mutex::new(Hearing::new(rand::random()))) }
    }

    /// A token of a proxy has come: when.
    pub(crate) fn came(&self, proxy: &Address) -> Instant {
        let mut hearing = self.lock();
        let now = Instant::now();
        hearing.came(proxy, self.clock.moment(now));
        now
    }

    /// A reading begins: what is said with it of these proxies, of which those are silent that have been for `silence`, and
    /// when.
    pub(crate) fn begin<'a>(
        &self,
        proxies: impl Iterator<Item = &'a Address>,
        silence: Duration,
    ) -> (ReadingNote, Instant) {
        let mut hearing = self.lock();
        let now = Instant::now();
        (hearing.begin(proxies, silence, self.clock.moment(now)), now)
    }

    /// Forgets the proxies that are not watched any more.
    pub(crate) fn keep(&self, is_watched: impl Fn(&Address) -> bool) {
        self.lock().keep(is_watched);
    }

    fn lock(&self) -> MutexGuard<'_, Hearing> {
        self.hearing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
