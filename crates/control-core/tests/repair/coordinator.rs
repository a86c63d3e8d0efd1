//! A coordinator of the imitated world: what it has seen, its clock, and what is on its way from it.

use std::collections::BTreeMap;

use control_core::{Action, Observed, TimeMs};
use keeper::LeaseGrant;
use model::{Address, SetCluster, SetRepl};

pub(crate) struct Coordinator {
    pub(crate) is_running: bool,
    /// It is stopped in the middle of what it does: what it was about to send goes out when it goes on.
    pub(crate) is_frozen: bool,
    pub(crate) observed: Observed,
    /// How far its clock is ahead.
    pub(crate) ahead_ms: u64,
    /// How long its actions take to arrive.
    pub(crate) delay_ms: u64,
    /// How much longer its pushes take.
    pub(crate) push_delay_ms: u64,
    /// What it has sent and has not arrived.
    pub(crate) sent: Vec<(TimeMs, Sent)>,
    /// From the last answer of each proxy.
    pub(crate) tokens: BTreeMap<Address, Vec<u8>>,
}

impl Coordinator {
    /// Sets its clock, before it has looked at anything.
    pub(crate) fn set_ahead(&mut self, ahead_ms: u64) {
        self.ahead_ms = ahead_ms;
        let Observed { coordinator, timing, last_turn, .. } = self.observed.clone();
        self.observed = Observed::new(coordinator, timing, TimeMs(last_turn.0 + ahead_ms));
    }

    /// What its clock shows.
    pub(crate) fn clock(&self, now: TimeMs) -> TimeMs {
        TimeMs(now.0 + self.ahead_ms)
    }
}

pub(crate) enum Sent {
    Action(Action),
    Push { proxy: Address, roles: SetRepl, view: SetCluster },
    Lease { proxy: Address, grant: LeaseGrant },
}
