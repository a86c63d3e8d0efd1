//! How long a coordinator waits for what.

use crate::state::LEASE_USUAL_MS;

/// How long a coordinator waits for what; all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A proxy that has been silent that long is dead.
    pub proxy_dead_ms: u64,
    /// A node that its proxy could not reach for that long is dead.
    pub node_dead_ms: u64,
    /// A node that has answered nobody for that long is dead, where its process cannot be looked at.
    pub unseen_dead_ms: u64,
    /// A node that is busy for that long is dead, although its process works; `None` means no limit.
    pub busy_dead_ms: Option<u64>,
    /// A replica that has been without its living primary for that long has lost it.
    pub link_broken_ms: u64,
    /// How long a lease lasts; and at least as long as a proxy takes to notice that the replica of its
    /// primary is gone, because an attached replica is as good as a lease.
    pub lease_ms: u64,
    /// A handover that is not complete after that long is given up.
    pub handover_ms_max: u64,
    /// Roles that changed are left alone for that long before primaries are brought home.
    pub balance_quiet_ms: u64,
    /// A node that has been dead for that long behind a living proxy is replaced, with its proxy.
    pub node_replace_ms: u64,
    /// A coordinator that did not run for that long has not watched: what was silent meanwhile is not dead.
    pub stall_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            proxy_dead_ms: 300,
            node_dead_ms: 300,
            unseen_dead_ms: 1_000,
            busy_dead_ms: None,
            link_broken_ms: 5_000,
            lease_ms: LEASE_USUAL_MS,
            handover_ms_max: 1_000,
            balance_quiet_ms: 5_000,
            node_replace_ms: 30_000,
            stall_ms: 200,
        }
    }
}
