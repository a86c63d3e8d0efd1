//! How well the shards of a cluster are served, and what is wrong with them, in words for people.

use std::collections::BTreeMap;

use model::{Address, LinkState, NodeHealth, NodeState, ProxyHealth, Role};

use crate::state::{Chunk, Cluster, Comeback, FenceReason, ShardId, State, SyncState};
use crate::time::TimeMs;

/// How well something is served; the worse is the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    #[default]
    Well,
    /// It is served, and would not survive every next failure, or is about to change.
    Degraded,
    /// Some slots are without service.
    Down,
}

/// How a shard is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardCondition {
    /// How well it is served.
    pub level: Level,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
}

/// What proxies have just answered when they were asked; `None` for one that did not answer. One that was not asked
/// is not in it.
pub type Asked = BTreeMap<Address, Option<ProxyHealth>>;

/// How a shard of a cluster is, by the metadata and by what its proxies have just answered.
#[must_use]
pub fn shard_condition(
    state: &State,
    cluster: &Cluster,
    id: ShardId,
    asked: &Asked,
    now: TimeMs,
) -> ShardCondition {
    let chunk = &cluster.chunks[id.chunk];
    let mut found = Findings { condition: ShardCondition::default(), state, now };
    if cluster.review {
        let text = "the metadata may be older than what is served: see `undermoon ctl review`";
        found.add(Level::Degraded, text.to_owned());
    }
    found.proxy(chunk.primary_proxy(id.shard), Side::Primary);
    found.proxy(chunk.replica_proxy(id.shard), Side::Replica);
    found.fence(chunk, id);
    found.sync(chunk, id);
    found.primary(chunk, id, asked);
    found.replica(chunk, id, asked);
    // Nobody misses slots that it does not have.
    if chunk.shard(id.shard).slots.is_empty() {
        found.condition.level = found.condition.level.min(Level::Degraded);
    }
    found.condition
}

/// What a proxy said of a node when it was asked.
#[must_use]
pub fn answered<'a>(asked: &'a Asked, proxy: &Address, node: &Address) -> Option<&'a NodeHealth> {
    asked.get(proxy)?.as_ref()?.nodes.iter().find(|health| health.address == *node)
}

/// Why a node cannot serve at the moment, by what its proxy has just answered; `None` where it can, or its proxy was not
/// asked.
#[must_use]
pub fn cannot_serve(asked: &Asked, proxy: &Address, node: &Address) -> Option<String> {
    match (asked.get(proxy)?, answered(asked, proxy, node)) {
        (None, _) => Some(format!("the proxy {proxy} of {node} does not answer")),
        (Some(_), None) => Some(format!("proxy {proxy} does not know of {node}")),
        (Some(_), Some(health)) => Some(format!("{node} {}", trouble(health)?)),
    }
}

/// Whether the primary of a shard takes writes, by what its proxy has just answered: it has the present view, the node is a
/// primary, and there is a lease or an attached replica. `None` where its proxy was not asked.
#[must_use]
pub fn is_served(cluster: &Cluster, id: ShardId, asked: &Asked) -> Option<bool> {
    let chunk = &cluster.chunks[id.chunk];
    let (node, proxy) = (chunk.primary(id.shard), chunk.primary_proxy(id.shard));
    let Some(answer) = asked.get(proxy)? else { return Some(false) };
    let has_view = answer.view_epoch >= cluster.epoch && chunk.shard(id.shard).fence.is_none();
    let may_use =
        |health: &NodeHealth| health.role == Role::Primary && (health.attached || answer.lease_ms != Some(0));
    let is_fit = |health: &NodeHealth| trouble(health).is_none() && may_use(health);
    Some(has_view && answered(asked, proxy, node).is_some_and(is_fit))
}

/// Whether both proxies of a shard have the present view, by what they have just answered: then no client waits at the old
/// primary's proxy. `None` where not both have answered.
#[must_use]
pub fn is_settled(cluster: &Cluster, id: ShardId, asked: &Asked) -> Option<bool> {
    let view_epoch = |proxy: &Address| Some(asked.get(proxy)?.as_ref()?.view_epoch);
    let [first, second] = cluster.chunks[id.chunk].proxies.each_ref().map(view_epoch);
    Some(first?.min(second?) >= cluster.epoch)
}

/// What is wrong with a node, whatever its role.
fn trouble(health: &NodeHealth) -> Option<String> {
    Some(match health.state {
        NodeState::Busy { for_ms } => {
            format!("is busy: it has answered nobody for {for_ms} ms, and its process works")
        }
        NodeState::Down { for_ms } | NodeState::Unseen { for_ms } => {
            format!("has not answered its proxy for {for_ms} ms")
        }
        NodeState::Loading => "is reading its data from disk".to_owned(),
        NodeState::Up if health.restarted => "restarted and waits for its role".to_owned(),
        NodeState::Up => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Primary,
    Replica,
}

impl Side {
    /// How bad it is that this side is gone.
    const fn loss(self) -> Level {
        match self {
            Self::Primary => Level::Down,
            Self::Replica => Level::Degraded,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        }
    }
}

struct Findings<'a> {
    condition: ShardCondition,
    state: &'a State,
    now: TimeMs,
}

impl Findings<'_> {
    fn add(&mut self, level: Level, words: String) {
        self.condition.level = self.condition.level.max(level);
        self.condition.problems.push(words);
    }

    fn proxy(&mut self, proxy: &Address, side: Side) {
        let reporters = self.state.reports(proxy, self.now);
        let vouched = self.state.proxies.get(proxy).and_then(|record| record.vouched.as_ref());
        if self.state.is_failed(proxy) {
            self.add(side.loss(), format!("the {}'s proxy {proxy} counts as failed", side.word()));
        } else if reporters > 0 {
            let text = format!("the {}'s proxy {proxy} is reported as failed by {reporters}", side.word());
            // Nobody else hears it, so its clients hardly do.
            let is_gone = reporters >= self.state.settings.failure_quorum.max(1) && vouched.is_none();
            let level = if is_gone { side.loss() } else { Level::Degraded };
            self.add(
                level,
                text + &vouched.map_or_else(String::new, |vouch| format!(", and heard by {}", vouch.by)),
            );
        }
    }

    fn fence(&mut self, chunk: &Chunk, id: ShardId) {
        let (primary, replica) = (chunk.primary(id.shard), chunk.replica(id.shard));
        if let Some(deposed) = &chunk.shard(id.shard).deposed {
            return self.add(Level::Down, format!("primary {primary} waits until {deposed} has stopped"));
        }
        if chunk.shard(id.shard).comeback == Some(Comeback::Waits) {
            let text = match self.state.former(chunk.shard(id.shard)) {
                Some(former) => format!(
                    "primary {primary} restarted and may lack what the nodes of proxy {former}, which was replaced, still have: \
                     copy that, then let the primary serve (`undermoon ctl cluster serve`)"
                ),
                None => format!(
                    "primary {primary} restarted, and replica {replica} may have what it lacks: promote the replica by force \
                     (`undermoon ctl cluster failover --force`), or let the primary serve with what it has (`undermoon ctl \
                     cluster serve`)"
                ),
            };
            self.add(Level::Down, text);
        }
        match chunk.shard(id.shard).fence.map(|fence| fence.reason) {
            Some(FenceReason::Dead) => {
                self.add(Level::Down, format!("primary {primary} is gone, {replica} is about to take over"));
            }
            Some(FenceReason::Handover | FenceReason::Planned) => {
                self.add(Level::Degraded, format!("primary {primary} is handing over to {replica}"));
            }
            None => {}
        }
    }

    fn sync(&mut self, chunk: &Chunk, id: ShardId) {
        let replica = chunk.replica(id.shard);
        match chunk.shard(id.shard).replica {
            SyncState::InSync => {}
            SyncState::Fresh => {
                self.add(Level::Degraded, format!("replica {replica} was not yet seen to be in sync"));
            }
            SyncState::OutOfSync => {
                self.add(Level::Degraded, format!("replica {replica} is not in sync and cannot take over"));
            }
        }
    }

    /// The node's own state; whether it is of any use to look at its role and link, too.
    fn node(&mut self, node: &Address, proxy: &Address, asked: &Asked, side: Side) -> Option<NodeHealth> {
        let answer = asked.get(proxy)?;
        let Some(health) = answer.as_ref().and_then(|_| answered(asked, proxy, node)) else {
            let text = match answer {
                None => format!("the {}'s proxy {proxy} does not answer", side.word()),
                Some(_) => format!("proxy {proxy} does not know of {} {node}", side.word()),
            };
            self.add(side.loss(), text);
            return None;
        };
        let Some(what) = trouble(health) else { return Some(health.clone()) };
        // The requests of a busy one wait, and nobody takes over.
        let is_busy = matches!(health.state, NodeState::Busy { .. });
        let level = if is_busy { Level::Degraded } else { side.loss() };
        self.add(level, format!("{} {node} {what}", side.word()));
        None
    }

    fn primary(&mut self, chunk: &Chunk, id: ShardId, asked: &Asked) {
        let (node, proxy) = (chunk.primary(id.shard), chunk.primary_proxy(id.shard));
        let health = self.node(node, proxy, asked, Side::Primary);
        if health.is_some_and(|health| health.role != Role::Primary) {
            self.add(Level::Down, format!("{node} is to be the primary and is still a replica"));
        }
    }

    fn replica(&mut self, chunk: &Chunk, id: ShardId, asked: &Asked) {
        let (node, proxy) = (chunk.replica(id.shard), chunk.replica_proxy(id.shard));
        let Some(health) = self.node(node, proxy, asked, Side::Replica) else { return };
        let what = match health.link {
            _ if health.primary.as_ref() != Some(chunk.primary(id.shard)) => {
                "does not replicate the primary".to_owned()
            }
            Some(LinkState::Up) => return,
            Some(LinkState::Syncing) => "is copying all data from its primary".to_owned(),
            Some(LinkState::Down { for_ms }) => format!("has been without its primary for {for_ms} ms"),
            None => "has no link to its primary".to_owned(),
        };
        self.add(Level::Degraded, format!("replica {node} {what}"));
    }
}

#[cfg(test)]
mod tests;
