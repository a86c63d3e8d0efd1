//! What is the matter with a proxy or a node: silence, death, loading and a broken link told apart.

use model::{Address, LinkState, NodeHealth, NodeState, ProxyHealth, Role};

use crate::observed::Observed;
use crate::time::TimeMs;

/// What is the matter with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyCondition {
    /// It has not been watched long enough to say, or cannot be asked.
    Unknown,
    /// It answers.
    Alive,
    /// It has not answered for too long.
    Dead,
}

/// What is the matter with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeCondition {
    /// There is nothing to go by, or it has been silent for a short time.
    Unknown,
    /// Its proxy is dead. Nothing is known of the node itself.
    Unreachable,
    /// Its proxy lives and cannot reach it.
    Dead,
    /// It answers nobody for now, and its process works.
    Busy,
    /// It reads its data from disk.
    Loading,
    /// It lives and is not the process that it was.
    Restarted,
    /// It lives and takes writes.
    Primary,
    /// It lives and follows its primary.
    Following,
    /// It lives and is copying all data from its primary.
    Syncing,
    /// It lives and has lost its primary.
    LinkBroken {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
}

/// What is the matter with a proxy.
#[must_use]
pub fn proxy_condition(observed: &Observed, proxy: &Address, now: TimeMs) -> ProxyCondition {
    let Some(seen) = observed.proxies.get(proxy) else { return ProxyCondition::Unknown };
    if seen.is_unaskable {
        return ProxyCondition::Unknown;
    }
    if now.since(seen.heard()) >= observed.timing.proxy_dead_ms {
        ProxyCondition::Dead
    } else if seen.health.is_some() {
        ProxyCondition::Alive
    } else {
        ProxyCondition::Unknown
    }
}

/// What is the matter with a node behind a proxy.
#[must_use]
pub fn node_condition(observed: &Observed, proxy: &Address, node: &Address, now: TimeMs) -> NodeCondition {
    match proxy_condition(observed, proxy, now) {
        ProxyCondition::Unknown => return NodeCondition::Unknown,
        ProxyCondition::Dead => return NodeCondition::Unreachable,
        ProxyCondition::Alive => {}
    }
    let Some(health) = node_health(observed, proxy, node) else { return NodeCondition::Unknown };
    match (health.state, health.link) {
        (NodeState::Down { for_ms }, _) if for_ms >= observed.timing.node_dead_ms => NodeCondition::Dead,
        (NodeState::Unseen { for_ms }, _) if for_ms >= observed.timing.unseen_dead_ms => NodeCondition::Dead,
        (NodeState::Busy { for_ms }, _) => match observed.timing.busy_dead_ms {
            Some(limit_ms) if for_ms >= limit_ms => NodeCondition::Dead,
            _ => NodeCondition::Busy,
        },
        (NodeState::Down { .. } | NodeState::Unseen { .. }, _) => NodeCondition::Unknown,
        (NodeState::Loading, _) => NodeCondition::Loading,
        (NodeState::Up, _) if health.restarted => NodeCondition::Restarted,
        (NodeState::Up, _) if health.role == Role::Primary => NodeCondition::Primary,
        (NodeState::Up, Some(LinkState::Up)) => NodeCondition::Following,
        (NodeState::Up, Some(LinkState::Syncing)) => NodeCondition::Syncing,
        (NodeState::Up, Some(LinkState::Down { for_ms })) => NodeCondition::LinkBroken { for_ms },
        (NodeState::Up, None) => NodeCondition::LinkBroken { for_ms: 0 },
    }
}

/// A proxy's last answer.
pub(crate) fn proxy_health<'a>(observed: &'a Observed, proxy: &Address) -> Option<&'a ProxyHealth> {
    observed.proxies.get(proxy)?.health.as_ref()
}

/// What a proxy last said of a node.
pub(crate) fn node_health<'a>(
    observed: &'a Observed,
    proxy: &Address,
    node: &Address,
) -> Option<&'a NodeHealth> {
    proxy_health(observed, proxy)?.nodes.iter().find(|health| health.address == *node)
}
