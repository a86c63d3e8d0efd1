//! A registered proxy.

use model::{Address, ClusterName, Epoch};
use serde::{Deserialize, Serialize};

use super::names::{HostName, ReporterId};
use crate::time::TimeMs;

/// A registered proxy with its two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// The nodes that it fronts.
    pub nodes: [Address; 2],
    /// The failure domain that it is in.
    pub host: HostName,
    /// Its place in the StatefulSet, where proxies are ordered.
    pub index: Option<u64>,
    /// The cluster that it serves; `None` while it is in the pool.
    pub cluster: Option<ClusterName>,
    /// When it was last registered, released or cleaned: the epoch of the empty view that says so.
    pub epoch: Epoch,
    /// Since when it counts as failed.
    pub failed_since: Option<TimeMs>,
    /// Its nodes may still hold what an earlier cluster left there. Until they are known to be clean it is
    /// given no view but the empty one, so that no cluster ever reads another's keys.
    pub dirty: bool,
    /// How often it has come back.
    #[serde(default)]
    pub comebacks: Comebacks,
    /// Set while others report it and a coordinator hears it all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<Vouch>,
    /// A proxy of the pool of which it is not known whether it serves somebody or holds anything: it is given no view, is not
    /// emptied, and is given to no cluster until that is known or an operator says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
    /// Nobody has seen yet that it is idle: that it serves nobody, and that its nodes hold nothing. Another control plane may
    /// have it. It is not told anything while it has a view that came from elsewhere; and what its nodes are found to hold is
    /// not removed, but makes it one under review.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new: bool,
    /// It was serving nobody when it was registered: it said so, or nothing was there at its address. Counts only while it is
    /// new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub serves_nobody: bool,
}

/// A coordinator hears a proxy that others report. One that is heard is not given up: it may serve, and is granted
/// leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouch {
    /// Who hears it.
    pub by: ReporterId,
    /// When it last said so, by the broker's clock. Coordinators judge its age by when they first saw it.
    pub at: TimeMs,
}

/// How often a proxy was well again after it had been reported or had failed. Who decides that it is to be given up
/// says after which comeback: what was decided before the last one is not about the proxy as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Comebacks(pub u64);

impl Comebacks {
    /// After one more.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Proxy {
    /// Whether it can be given to a cluster, unless its nodes may hold the only copy of something ([`State::free`]).
    ///
    /// [`State::free`]: super::State::free
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.cluster.is_none()
            && self.failed_since.is_none()
            && !self.review
            && (!self.is_new || self.serves_nobody)
    }
}
