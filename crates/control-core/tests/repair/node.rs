//! An imitated Redis server: its role, its data, and its link to its primary.

use std::collections::BTreeMap;

use control_core::TimeMs;
use keeper::{DesiredRole, NodeLink};
use model::Address;

/// How long a full resynchronisation takes.
const RESYNC_MS: u64 = 200;

/// A replica's link to its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// It has not reached that primary yet.
    New,
    Syncing {
        since: TimeMs,
    },
    Up,
    /// It was closed.
    Down {
        since: TimeMs,
    },
}

pub(crate) struct SimNode {
    pub(crate) address: Address,
    pub(crate) is_running: bool,
    pub(crate) is_loading: bool,
    /// Since when it is stopped in the middle of what it does.
    pub(crate) hung_since: Option<TimeMs>,
    /// Tells its processes apart.
    pub(crate) process: u64,
    pub(crate) following: Option<Address>,
    link: Link,
    /// When something came from its primary last.
    heard: TimeMs,
    /// When each replica had everything, over the connection that it has now.
    pub(crate) acknowledged: BTreeMap<Address, TimeMs>,
    pub(crate) data: Vec<u64>,
}

/// What a replica gets from its primary.
pub(crate) enum Source {
    Data(Vec<u64>),
    /// Nothing, and no word of that.
    Silent,
    /// The connection is closed or refused.
    Gone,
}

impl SimNode {
    pub(crate) fn new(address: &Address, now: TimeMs) -> Self {
        Self {
            address: address.clone(),
            is_running: true,
            is_loading: false,
            hung_since: None,
            process: 0,
            following: Some(nobody()),
            link: Link::New,
            heard: now,
            acknowledged: BTreeMap::new(),
            data: Vec::new(),
        }
    }

    /// It is started anew, as the documents say: as a replica of nobody.
    pub(crate) fn start(&mut self, has_data: bool) {
        self.process += 1;
        (self.is_running, self.hung_since) = (true, None);
        (self.following, self.link) = (Some(nobody()), Link::New);
        self.acknowledged.clear();
        if !has_data {
            self.data.clear();
        }
    }

    /// Takes a role.
    pub(crate) fn set_role(&mut self, role: &DesiredRole) {
        if role.following() != self.following.as_ref() {
            (self.following, self.link) = (role.following().cloned(), Link::New);
            // Its own replicas are disconnected.
            self.acknowledged.clear();
        }
    }

    /// Whether it does what it is asked to.
    pub(crate) fn answers(&self) -> bool {
        self.is_running && !self.is_loading && self.hung_since.is_none()
    }

    /// What comes from it to a replica.
    pub(crate) fn source(&self, is_cut: bool) -> Source {
        if is_cut || self.hung_since.is_some() {
            Source::Silent
        } else if self.answers() && self.following.is_none() {
            Source::Data(self.data.clone())
        } else {
            Source::Gone
        }
    }

    /// What it says of the link to its primary.
    pub(crate) fn link(&self, now: TimeMs) -> NodeLink {
        match self.link {
            Link::New | Link::Syncing { .. } => NodeLink::Syncing,
            Link::Up => NodeLink::Up,
            Link::Down { since } => NodeLink::Down { for_s: now.since(since) / 1_000 },
        }
    }

    /// For how many seconds nothing has come, while the link is up.
    pub(crate) fn silent_s(&self, now: TimeMs) -> u64 {
        if self.link == Link::Up { now.since(self.heard) / 1_000 } else { 0 }
    }

    /// Takes what comes from its primary; whether it then has everything, and the primary hears of that.
    pub(crate) fn follow(&mut self, source: &Source, now: TimeMs) -> bool {
        let source = match source {
            Source::Data(data) => data,
            // A line that swallows everything looks whole.
            Source::Silent => return false,
            Source::Gone => {
                if matches!(self.link, Link::Up | Link::Syncing { .. }) {
                    self.link = Link::Down { since: now };
                }
                return false;
            }
        };
        self.heard = now;
        self.link = match self.link {
            Link::New | Link::Down { .. } if source.starts_with(&self.data) => Link::Up,
            Link::New | Link::Down { .. } => Link::Syncing { since: now },
            Link::Syncing { since } if now.since(since) < RESYNC_MS => self.link,
            Link::Syncing { .. } | Link::Up => Link::Up,
        };
        if self.link == Link::Up {
            self.data.clone_from(source);
        }
        self.link == Link::Up
    }
}

/// Where a node that starts looks for its primary.
fn nobody() -> Address {
    Address::new("127.0.0.1", 1).unwrap()
}
