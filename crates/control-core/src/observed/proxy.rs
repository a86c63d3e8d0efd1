//! What was seen of a proxy.

use model::{ATTACHED_SOON_FOR_MS, ProxyHealth};

use crate::lease::CLOCK_DRIFT_DIVISOR;
use crate::time::TimeMs;

/// What was seen of one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyObservation {
    /// Since when it has been watched without a gap.
    pub watched_since: TimeMs,
    /// When the last probe that was answered had been sent: what the answer says was true then or later.
    pub asked: Option<TimeMs>,
    /// When the last answer to a probe came.
    pub answered: Option<TimeMs>,
    /// The last answer.
    pub health: Option<ProxyHealth>,
    /// When the first answer of the process that gave the last one came.
    pub process_since: Option<TimeMs>,
    /// When it was first seen in the metadata that it has failed; `None` if it has not.
    pub failed_seen: Option<TimeMs>,
    /// This coordinator could not ask it when it last tried: it was not let in, or its own network failed it. That says
    /// nothing about the proxy.
    pub is_unaskable: bool,
}

impl ProxyObservation {
    pub(super) fn new(has_failed: bool, now: TimeMs) -> Self {
        let failed_seen = has_failed.then_some(now);
        let (asked, answered, health, process_since, is_unaskable) = (None, None, None, None, false);
        Self { watched_since: now, asked, answered, health, process_since, failed_seen, is_unaskable }
    }

    /// Since when it has been silent: silence before the watch began says nothing.
    pub(crate) fn heard(&self) -> TimeMs {
        self.answered.map_or(self.watched_since, |answered| answered.max(self.watched_since))
    }

    /// Until when it goes at least by the shorter time for which a replica counts as attached, where it tells.
    pub(crate) fn attached_soon_until(&self) -> Option<TimeMs> {
        // A lease may have been longer than others are; the process of a moment ago may be another by now, whose is not.
        let soon_for_ms = self.health.as_ref()?.attached_soon_for_ms?.min(ATTACHED_SOON_FOR_MS);
        // Its clock may run a little faster than this one.
        Some(TimeMs(self.asked?.0 + soon_for_ms - soon_for_ms / CLOCK_DRIFT_DIVISOR))
    }

    /// Whether the process that gives this answer gave the last one, too. One of a version that does not tell which it is
    /// may be another where it has lost metadata.
    pub(super) fn is_of_known_process(&self, health: &ProxyHealth) -> bool {
        self.health.as_ref().is_some_and(|before| {
            let has_lost = health.view_epoch < before.view_epoch || health.roles_epoch < before.roles_epoch;
            before.run_id == health.run_id && (health.run_id.is_some() || !has_lost)
        })
    }
}
