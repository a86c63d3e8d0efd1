//! Reporting proxies that are dead, and taking it back when they return.

use model::{Address, NodeState};

use super::action::Action;
use super::watch::Watch;
use crate::command::Command;
use crate::diagnose::{ProxyCondition, proxy_health};
use crate::observed::{DatedSeen, ReportsSeen, VOUCHED_MS};

/// Adds what there is to report.
pub(super) fn detect(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    for (proxy, record) in &watch.state.proxies {
        let (reporter, now) = (&watch.observed.coordinator, watch.now);
        let reports = watch.observed.reports.get(proxy);
        let mine = reports.and_then(|seen| seen.reports.get(reporter));
        match watch.proxy(proxy) {
            ProxyCondition::Dead if record.failed_since.is_none() => {
                // Said again in time, so that it does not lapse while it is true.
                let renewed_ms = watch.state.settings.failure_ttl_ms / 2;
                if mine.is_none_or(|mine| now.since(mine.since) > renewed_ms) {
                    let (proxy, reporter) = (proxy.clone(), reporter.clone());
                    actions.push(Action::Apply(Command::ReportFailure { proxy, reporter, now }));
                }
            }
            ProxyCondition::Alive
                if (mine.is_some()
                    || is_back(watch, proxy)
                    || is_to_be_vouched_for(watch, proxy, reports))
                    && has_all_nodes(watch, proxy) =>
            {
                let (proxy, reporter) = (proxy.clone(), reporter.clone());
                actions.push(Action::Apply(Command::ProxyReturned { proxy, reporter, now }));
            }
            _ => {}
        }
    }
}

/// Whether others report a proxy that was heard after that, and nobody has said so lately.
fn is_to_be_vouched_for(watch: &Watch<'_>, proxy: &Address, reports: Option<&ReportsSeen>) -> bool {
    let Some(seen) = reports else { return false };
    // Reports that are too old to count go with it.
    let is_wrong = |report: &DatedSeen| watch.is_newer(proxy, report.since);
    let is_vouched = seen.vouch.is_some_and(|vouch| watch.now.since(vouch.since) <= VOUCHED_MS / 2);
    seen.reports.values().any(is_wrong) && !is_vouched
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
