//! What coordinators are told of a node.

use std::time::Duration;

use model::{Address, LinkState, Moment, NodeHealth, NodeState, Role};

use crate::nodes::{Health, Seen};
use crate::status::{NodeLink, NodeRole, NodeStatus};

/// A link on which nothing came for this long is told as broken: the proxy of a primary for which a coordinator cares
/// makes it send something ten times a second, while Redis takes a line that swallows packets for a good one for a
/// minute.
const LINK_SILENT_S: u64 = 2;

/// What is known of a node's replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplicaKnown {
    /// The node lost its slots, has stopped, and the replica had acknowledged everything then.
    pub(crate) is_replicated: bool,
    /// The replica has acknowledged a moment ago.
    pub(crate) is_attached: bool,
}

/// What is told of a node.
pub(crate) fn node(address: &Address, seen: Seen<'_>, replica: ReplicaKnown, now: Moment) -> NodeHealth {
    let status = seen.health.status();
    let state = match seen.health {
        Health::Up(status) if status.loading => NodeState::Loading,
        Health::Up(_) => NodeState::Up,
        // Nobody has looked yet, or it does not answer: for as long as that is so.
        Health::Busy(_) => NodeState::Busy { for_ms: whole_ms(now.since(seen.answered)) },
        Health::Unknown | Health::Down(_) if seen.is_unseen => {
            NodeState::Unseen { for_ms: whole_ms(now.since(seen.answered)) }
        }
        Health::Unknown | Health::Down(_) => NodeState::Down { for_ms: whole_ms(now.since(seen.answered)) },
    };
    let (role, primary, link) = match status.map(|status| (status, &status.role)) {
        None | Some((_, NodeRole::Primary)) => (Role::Primary, None, None),
        Some((status, NodeRole::Replica { host, port, link })) => {
            (Role::Replica, Address::new(host, *port).ok(), Some(link_state(status, *link)))
        }
    };
    NodeHealth {
        address: address.clone(),
        state,
        restarted: status.is_some_and(|status| status.restarted),
        role,
        primary,
        link,
        offset: status.map_or(0, |status| status.offset),
        replicated: replica.is_replicated,
        attached: replica.is_attached,
        role_epoch: Some(seen.role_epoch),
        run_id: status.and_then(|status| status.run_id.parse().ok()),
        keys: status.map(|status| status.keys),
        keeps_log: status.is_some_and(|status| status.keeps_log),
    }
}

fn link_state(status: &NodeStatus, link: NodeLink) -> LinkState {
    let down = |for_s: u64| LinkState::Down { for_ms: for_s.saturating_mul(1000) };
    match link {
        NodeLink::Up if status.link_silent_s >= LINK_SILENT_S => down(status.link_silent_s),
        NodeLink::Up => LinkState::Up,
        // What it lacks comes when the link was made anew.
        NodeLink::Mute | NodeLink::Syncing => LinkState::Syncing,
        NodeLink::Down { for_s } => down(for_s),
    }
}

/// A duration in milliseconds, rounded down.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
