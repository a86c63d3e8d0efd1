//! Proxies of the pool: what their nodes hold is gone before a cluster gets them.
//!
//! ```text
//!            leaves a cluster, or its nodes may hold something         emptied
//!   free ───────────────────────────────────────────────────▶ dirty ───────────▶ free
//! ```
//! A node that restarts reads what is in its folder, be it the keys of a cluster long gone. So a free proxy whose nodes
//! are not the processes that were emptied is dirty again, as is one whose nodes have keys, wherever these came from.
//!
//! By metadata that may be old nobody is emptied: what they have in the pool may serve a cluster by newer ones.

use model::{Address, Epoch, NodeState};

use super::action::Action;
use super::watch::Watch;
use crate::command::Command;
use crate::diagnose::{NodeCondition, node_condition, node_health, proxy_health};
use crate::state::Proxy;

/// Adds what there is to do.
pub(super) fn keep_clean(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    let is_beyond_doubt = watch.is_beyond_doubt();
    // What may be the only copy of a shard is kept until there is another.
    let formers = watch.state.formers();
    let proxies = watch
        .state
        .proxies
        .iter()
        .filter(|(proxy, record)| record.failed_since.is_none() && !formers.contains(proxy));
    for (proxy, record) in proxies.filter(|(proxy, _)| watch.is_trusted(proxy)) {
        if record.cluster.is_none() && has_foreign_view(watch, proxy) {
            let (proxy, epoch) = (proxy.clone(), record.epoch);
            actions.push(Action::Apply(Command::NoteDirty { proxy, epoch }));
            continue;
        }
        // What it says is of the time since it was registered, released or emptied.
        if watch.view_epoch(proxy) != Some(record.epoch) {
            continue;
        }
        let (proxy, epoch) = (proxy.clone(), record.epoch);
        if record.dirty {
            if !is_beyond_doubt || !can_be_emptied(watch, &proxy, record) {
                continue;
            }
            let process = watch.process(&proxy);
            actions.push(Action::Clean { proxy, process, epoch });
        } else if record.cluster.is_none() && may_hold_something(watch, &proxy, record) {
            actions.push(Action::Apply(Command::NoteDirty { proxy, epoch }));
        } else if record.is_new && holds_nothing(watch, &proxy, record) {
            actions.push(Action::Apply(Command::ProxyCleaned { proxy, epoch }));
        }
    }
}

/// Whether a proxy that nobody has seen idle has a view that this metadata has not given it. Epochs of two histories say
/// nothing of each other; but it was told nothing by these before they registered it.
pub(super) fn has_foreign_view(watch: &Watch<'_>, proxy: &Address) -> bool {
    let Some(record) = watch.state.proxies.get(proxy).filter(|record| record.is_new) else { return false };
    let held = proxy_health(watch.observed, proxy).map(|health| health.view_epoch.max(health.roles_epoch));
    held.is_some_and(|held| Epoch(0) < held && held < record.epoch)
}

/// Whether a node behind a proxy is another process than the one that was given its role: it takes no other before it is
/// told so with FORCE, and cannot be emptied as the replica of nobody that it may be.
pub(super) fn has_restarted_node(watch: &Watch<'_>, proxy: &Address) -> bool {
    proxy_health(watch.observed, proxy).is_some_and(|health| health.nodes.iter().any(|node| node.restarted))
}

/// Whether all nodes of a proxy answer, as far as it tells. One that is dead would be asked in vain at each turn; one that is
/// back has restarted, and is seen to be up again.
fn can_be_emptied(watch: &Watch<'_>, proxy: &Address, record: &Proxy) -> bool {
    let answers = |node: &Address| {
        node_health(watch.observed, proxy, node).is_none_or(|health| health.state == NodeState::Up)
    };
    record.nodes.iter().all(answers)
}

/// Whether the nodes of a proxy that were empty may not be so any more.
fn may_hold_something(watch: &Watch<'_>, proxy: &Address, record: &Proxy) -> bool {
    record.nodes.iter().any(|node| {
        let is_another = matches!(
            node_condition(watch.observed, proxy, node, watch.now),
            NodeCondition::Dead | NodeCondition::Loading | NodeCondition::Restarted
        );
        is_another || has_keys(watch, proxy, (node, record))
    })
}

/// Whether the nodes of a proxy are seen to be empty, in the roles that it was given with its view.
fn holds_nothing(watch: &Watch<'_>, proxy: &Address, record: &Proxy) -> bool {
    record.nodes.iter().all(|node| {
        node_health(watch.observed, proxy, node).is_some_and(|health| {
            health.state == NodeState::Up
                && health.role_epoch.is_some_and(|epoch| epoch >= record.epoch)
                && health.keys == Some(0)
        })
    })
}

/// Whether a node was seen to have keys by a look that began after the view had come.
fn has_keys(watch: &Watch<'_>, proxy: &Address, (node, record): (&Address, &Proxy)) -> bool {
    let health = node_health(watch.observed, proxy, node);
    let recent = health.filter(|health| health.role_epoch.is_none_or(|epoch| epoch >= record.epoch));
    recent.and_then(|health| health.keys).is_some_and(|keys| keys > 0)
}
