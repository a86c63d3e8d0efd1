//! An imitated Redis server: its role, its log of writes, its replicas, and how it answers.

use std::collections::BTreeMap;

use keeper::{DesiredRole, NodeLink, NodeProcess, NodeRole, NodeStatus};
use model::Address;

use crate::clock::TrueUs;

/// How long a full resynchronisation takes.
const RESYNC_US: u64 = 200_000;

/// A primary to which nobody writes sends something after so long.
const PING_US: u64 = 10_000_000;

/// One entry of a log: a client's write, or nothing that anybody would miss.
pub(crate) type Entry = Option<u64>;

/// A replica's link to its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It has not reached that primary yet.
    New,
    /// It is being given everything.
    Syncing {
        /// Since when.
        since: TrueUs,
    },
    /// It follows.
    Up,
    /// It was closed by the other end.
    Down {
        /// Since when.
        since: TrueUs,
    },
}

/// One node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its address.
    pub(crate) address: Address,
    /// Names the process.
    pub(crate) run_id: String,
    /// Whom it replicates.
    pub(crate) following: Option<Address>,
    /// The link to that one.
    pub(crate) link: Link,
    /// When something came from there last.
    pub(crate) heard: TrueUs,
    /// All that was written, in order. Its length is the offset.
    pub(crate) log: Vec<Entry>,
    /// How far each replica said it is, over the connection that it has now.
    pub(crate) acknowledged: BTreeMap<Address, usize>,
}

/// What a replica finds at its primary's address.
pub(crate) enum Source<'a> {
    /// A node that sends what it has.
    Answers(&'a mut Node),
    /// Nothing comes, and no word of that.
    Silent,
    /// The connection is refused.
    Refused,
}

impl Node {
    /// A node that was just started, as the documents say: as a replica of nobody.
    #[must_use]
    pub(crate) fn start(address: Address, run_id: String, log: Vec<Entry>) -> Self {
        let nobody = Address::new("127.0.0.1", 1).expect("an address");
        let (following, link, acknowledged) = (Some(nobody), Link::New, BTreeMap::new());
        Self { address, run_id, following, link, heard: 0, log, acknowledged }
    }

    /// Takes a role.
    pub(crate) fn set_role(&mut self, role: &DesiredRole) {
        if role.following() != self.following.as_ref() {
            (self.following, self.link) = (role.following().cloned(), Link::New);
            // Its own replicas are disconnected.
            self.acknowledged.clear();
        }
    }

    /// Whether it lets no replica follow: it is to copy another node and has not reached that (Redis: NOMASTERLINK).
    #[must_use]
    pub(crate) fn is_without_data(&self) -> bool {
        self.following.is_some() && self.link != Link::Up
    }

    /// What it says of itself.
    #[must_use]
    pub(crate) fn status(&self, now: TrueUs) -> NodeStatus {
        let seconds = |since: TrueUs| now.saturating_sub(since) / 1_000_000;
        let role = match &self.following {
            None => NodeRole::Primary,
            Some(primary) => NodeRole::Replica {
                host: primary.host().to_owned(),
                port: primary.port(),
                link: match self.link {
                    Link::New | Link::Syncing { .. } => NodeLink::Syncing,
                    Link::Up => NodeLink::Up,
                    Link::Down { since } => NodeLink::Down { for_s: seconds(since) },
                },
            },
        };
        NodeStatus {
            role,
            run_id: self.run_id.clone(),
            process: Some(NodeProcess { pid: 1, executable: self.run_id.clone() }),
            offset: self.log.len() as u64,
            keys: self.log.iter().flatten().count() as u64,
            keeps_log: true,
            link_silent_s: if self.link == Link::Up { seconds(self.heard) } else { 0 },
            replicas: u32::try_from(self.acknowledged.len()).unwrap_or(u32::MAX),
            ..NodeStatus::default()
        }
    }

    /// Takes what comes from its primary; where what is new begins in its log, if something is.
    pub(crate) fn follow(&mut self, source: Source<'_>, now: TrueUs) -> Option<usize> {
        let source = match source {
            Source::Answers(source) => source,
            Source::Silent => return None,
            Source::Refused => {
                match self.link {
                    Link::Up | Link::Syncing { .. } => self.link = Link::Down { since: now },
                    Link::New | Link::Down { .. } => {}
                }
                return None;
            }
        };
        let begin = match self.link {
            Link::New | Link::Down { .. } if source.log.starts_with(&self.log) => self.log.len(),
            Link::New | Link::Down { .. } => {
                self.link = Link::Syncing { since: now };
                return None;
            }
            Link::Syncing { since } if now - since < RESYNC_US => return None,
            Link::Syncing { .. } => {
                self.log.clear();
                0
            }
            // It was made to follow another meanwhile, or came back from somewhere else.
            Link::Up if self.log.len() > source.log.len() => {
                self.link = Link::Syncing { since: now };
                return None;
            }
            Link::Up => self.log.len(),
        };
        let is_new = self.link != Link::Up || begin < source.log.len();
        if is_new || now.saturating_sub(self.heard) >= PING_US {
            self.heard = now;
        }
        self.link = Link::Up;
        self.log.extend_from_slice(&source.log[begin..]);
        source.acknowledged.insert(self.address.clone(), self.log.len());
        Some(begin)
    }
}
