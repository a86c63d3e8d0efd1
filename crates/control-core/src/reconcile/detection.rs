//! Reporting proxies that are dead, and taking it back when they return.

use model::Address;

use super::action::Action;
use super::watch::Watch;
use crate::command::Command;
use crate::diagnose::{ProxyCondition, proxy_health};
use crate::observed::NodeState;

/// Adds what there is to report.
pub(super) fn detect(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    for (proxy, record) in &watch.state.proxies {
        let reporter = &watch.observed.coordinator;
        let mine = watch.state.failures.get(proxy).and_then(|reports| reports.get(reporter));
        match watch.proxy(proxy) {
            ProxyCondition::Dead if record.failed_since.is_none() => {
                // Said again in time, so that it does not lapse while it is true.
                let is_fresh = |at| watch.now.since(at) <= watch.state.settings.failure_ttl_ms / 2;
                if !mine.copied().is_some_and(is_fresh) {
                    let (proxy, reporter, now) = (proxy.clone(), reporter.clone(), watch.now);
                    actions.push(Action::Apply(Command::ReportFailure { proxy, reporter, now }));
                }
            }
            ProxyCondition::Alive
                if (mine.is_some() || is_back(watch, proxy)) && has_all_nodes(watch, proxy) =>
            {
                let (proxy, reporter) = (proxy.clone(), reporter.clone());
                actions.push(Action::Apply(Command::ProxyReturned { proxy, reporter }));
            }
            _ => {}
        }
    }
}

/// Whether a proxy that has failed was heard after that.
fn is_back(watch: &Watch<'_>, proxy: &Address) -> bool {
    let failed_seen = watch.observed.proxies.get(proxy).and_then(|seen| seen.failed_seen);
    failed_seen.is_some_and(|seen| watch.is_newer(proxy, seen))
}

/// Whether all its nodes answer: a proxy without them is of no use to anybody.
fn has_all_nodes(watch: &Watch<'_>, proxy: &Address) -> bool {
    let Some(health) = proxy_health(watch.observed, proxy) else { return false };
    let Some(record) = watch.state.proxies.get(proxy) else { return false };
    let is_up =
        |node: &Address| health.nodes.iter().any(|seen| seen.address == *node && seen.state == NodeState::Up);
    record.nodes.iter().all(is_up)
}
