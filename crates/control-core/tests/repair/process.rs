//! The imitated processes: a proxy with its nodes, and what each does by itself.

use control_core::TimeMs;
use model::{
    Address, Epoch, LinkState, NodeHealth, NodeState, ProxyHealth, Role, SetCluster, SetRepl, Slot, View,
};

/// How long a full resynchronisation takes.
const RESYNC_MS: u64 = 200;
/// How long a proxy waits for an answer of a node that hangs.
const HANG_MS: u64 = 1_000;
/// How long a link on which nothing comes passes for whole.
const SILENCE_MS: u64 = 2_000;
/// How long a proxy takes a replica that does not acknowledge for attached.
const LAG_MS_MAX: u64 = 300;

pub(crate) struct SimProxy {
    pub(crate) is_running: bool,
    pub(crate) view: Option<View>,
    pub(crate) roles: Option<SetRepl>,
    pub(crate) view_epoch: Epoch,
    pub(crate) roles_epoch: Epoch,
    pub(crate) leased_until: TimeMs,
    /// It was told that it needs a lease, or was granted one.
    pub(crate) needs_lease: bool,
    /// Tells its processes apart.
    pub(crate) token: u64,
    pub(crate) nodes: Vec<SimNode>,
}

pub(crate) struct SimNode {
    pub(crate) address: Address,
    pub(crate) is_running: bool,
    pub(crate) is_loading: bool,
    /// Since when it is stopped in the middle of what it does.
    pub(crate) hung_since: Option<TimeMs>,
    pub(crate) down_since: TimeMs,
    pub(crate) restarted: bool,
    pub(crate) following: Option<Address>,
    pub(crate) role: Option<Role>,
    pub(crate) link: LinkState,
    pub(crate) link_since: TimeMs,
    /// It has reached the primary that it was told to follow: before that it cannot say since when the link is down.
    pub(crate) has_reached: bool,
    pub(crate) source_heard: TimeMs,
    pub(crate) replica_heard: TimeMs,
    pub(crate) data: Vec<u64>,
}

impl SimProxy {
    pub(crate) fn new(nodes: &[Address], now: TimeMs) -> Self {
        let node = |address: &Address| SimNode {
            address: address.clone(),
            is_running: true,
            is_loading: false,
            hung_since: None,
            down_since: now,
            restarted: false,
            following: None,
            role: None,
            link: LinkState::Down { for_ms: 0 },
            link_since: now,
            has_reached: false,
            source_heard: TimeMs(0),
            replica_heard: TimeMs(0),
            data: Vec::new(),
        };
        Self {
            is_running: true,
            view: None,
            roles: None,
            view_epoch: Epoch(0),
            roles_epoch: Epoch(0),
            leased_until: TimeMs(0),
            needs_lease: false,
            token: 0,
            nodes: nodes.iter().map(node).collect(),
        }
    }

    pub(crate) fn serves(&self, node: &SimNode, slot: Slot, now: TimeMs) -> bool {
        let Some(view) = &self.view else { return false };
        let owns =
            view.local.iter().filter(|local| local.address == node.address).flat_map(|local| &local.slots);
        let owns = owns.clone().any(|slots| slots.tag.owns() && slots.ranges.contains(slot));
        let is_attached = now.since(node.replica_heard) < LAG_MS_MAX;
        let is_allowed = !self.needs_lease || self.leased_until > now || is_attached;
        let is_well = node.answers() && !node.restarted && node.role == Some(Role::Primary);
        self.is_running && owns && is_allowed && is_well
    }

    pub(crate) fn accept(&mut self, roles: SetRepl, command: SetCluster) {
        if roles.flags.force {
            // Told to make do with what its nodes have.
            self.nodes.iter_mut().for_each(|node| node.restarted = false);
        }
        if roles.epoch > self.roles_epoch {
            self.roles_epoch = roles.epoch;
            self.roles = Some(roles);
            self.tell_roles();
        }
        let SetCluster { view, flags, .. } = command;
        if view.epoch > self.view_epoch {
            self.needs_lease |= flags.leased;
            self.view_epoch = view.epoch;
            self.view = Some(view);
        }
    }

    /// Keeps its nodes in their roles. A primary that started anew stays out of service: what it had in
    /// memory is lost, and its replica would lose it too. As a replica it is given everything anew.
    pub(crate) fn tell_roles(&mut self) {
        let Some(roles) = self.roles.as_ref().filter(|_| self.is_running) else { return };
        for role in &roles.roles {
            let is_replica = role.role == Role::Replica;
            let is_meant = |node: &&mut SimNode| {
                let listens = node.is_running && node.hung_since.is_none();
                node.address == role.node && listens && (is_replica || !node.restarted)
            };
            if let Some(node) = self.nodes.iter_mut().find(is_meant) {
                node.restarted = false;
                node.role = Some(role.role);
                let primary = role.peers.first().filter(|_| is_replica);
                let following = primary.map(|peer| peer.node.clone());
                if node.following != following {
                    node.source_heard = TimeMs(0);
                    node.following = following;
                    node.link = LinkState::Down { for_ms: 0 };
                    node.has_reached = false;
                }
            }
        }
    }

    pub(crate) fn health(&self, now: TimeMs) -> ProxyHealth {
        let nodes = self.nodes.iter().map(|node| NodeHealth {
            address: node.address.clone(),
            state: match (node.is_running, node.is_loading, node.hung_since) {
                (false, ..) => NodeState::Down { for_ms: now.since(node.down_since) },
                (true, _, Some(since)) if now.since(since) >= HANG_MS => {
                    NodeState::Down { for_ms: now.since(since) }
                }
                (true, true, _) => NodeState::Loading,
                (true, false, _) => NodeState::Up,
            },
            restarted: node.restarted,
            role: node.role.unwrap_or(Role::Primary),
            primary: node.following.clone(),
            link: node.following.as_ref().map(|_| match node.link {
                LinkState::Down { .. } if !node.has_reached => LinkState::Syncing,
                LinkState::Down { .. } => LinkState::Down { for_ms: now.since(node.link_since) },
                link => link,
            }),
            offset: node.data.last().copied().unwrap_or(0),
            replicated: false,
            attached: now.since(node.replica_heard) < LAG_MS_MAX,
            role_epoch: Some(self.roles_epoch),
            run_id: None,
            keys: Some(node.data.len() as u64),
            keeps_log: true,
        });
        let (view_epoch, roles_epoch) = (self.view_epoch, self.roles_epoch);
        ProxyHealth {
            view_epoch,
            roles_epoch,
            lease_longest_ms: 0,
            nodes: nodes.collect(),
            finished: Vec::new(),
        }
    }
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
    /// Whether it does what it is asked to.
    pub(crate) fn answers(&self) -> bool {
        self.is_running && !self.is_loading && self.hung_since.is_none()
    }

    /// What comes from it to a replica.
    pub(crate) fn source(&self, is_cut: bool) -> Source {
        match self.role {
            _ if is_cut || self.hung_since.is_some() => Source::Silent,
            Some(Role::Primary) if self.answers() => Source::Data(self.data.clone()),
            _ => Source::Gone,
        }
    }

    /// Takes what comes from its primary; whether it then has everything, and the primary hears of that.
    pub(crate) fn follow(&mut self, source: &Source, now: TimeMs) -> bool {
        let source = match source {
            Source::Data(data) => data,
            // A line that swallows everything looks whole for a while.
            Source::Silent if self.link == LinkState::Up && now.since(self.source_heard) < SILENCE_MS => {
                return false;
            }
            Source::Silent | Source::Gone => {
                if !matches!(self.link, LinkState::Down { .. }) {
                    let was_silent = matches!(source, Source::Silent) && self.link == LinkState::Up;
                    self.link = LinkState::Down { for_ms: 0 };
                    self.link_since = if was_silent { self.source_heard } else { now };
                }
                return false;
            }
        };
        (self.has_reached, self.source_heard) = (true, now);
        match self.link {
            LinkState::Down { .. } if source.starts_with(&self.data) => self.link = LinkState::Up,
            LinkState::Down { .. } => (self.link, self.link_since) = (LinkState::Syncing, now),
            LinkState::Syncing if now.since(self.link_since) < RESYNC_MS => {}
            LinkState::Syncing | LinkState::Up => self.link = LinkState::Up,
        }
        if self.link == LinkState::Up {
            self.data.clone_from(source);
        }
        self.link == LinkState::Up
    }
}
