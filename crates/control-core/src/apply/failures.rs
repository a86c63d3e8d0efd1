//! Reports that a proxy has failed, and that it is well again.

use model::Address;

use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{ReporterId, State};
use crate::time::TimeMs;

/// Notes a report, and drops those that are too old to count.
pub(super) fn report(
    state: &mut State,
    proxy: &Address,
    reporter: ReporterId,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    state.proxy(proxy)?;
    let time_to_live_ms = state.settings.failure_ttl_ms;
    let reports = state.failures.get_or_default(proxy);
    reports.insert(reporter, now);
    let is_old = |at: &TimeMs| now.since(*at) > time_to_live_ms;
    let with_old = state.failures.iter().filter(|(_, reports)| reports.values().any(is_old));
    for proxy in with_old.map(|(proxy, _)| proxy.clone()).collect::<Vec<_>>() {
        if let Some(reports) = state.failures.get_mut(&proxy) {
            reports.retain(|_, at| !is_old(at));
        }
    }
    state.failures.retain(|_, reports| !reports.is_empty());
    Ok(Reply::Done)
}

/// Takes a reporter's word back, and the failure of the proxy with it: it has been seen to be well. What
/// others report stands until they take it back or it is too old.
pub(super) fn returned(
    state: &mut State,
    proxy: &Address,
    reporter: &ReporterId,
) -> Result<Reply, ApplyError> {
    state.proxy(proxy)?;
    let had_report = state.failures.get_mut(proxy).is_some_and(|reports| reports.remove(reporter).is_some());
    state.failures.retain(|_, reports| !reports.is_empty());
    if !had_report && !state.is_failed(proxy) {
        return Ok(Reply::Done);
    }
    if let Some(record) = state.proxies.get_mut(proxy) {
        record.failed_since = None;
        record.comebacks = record.comebacks.next();
    }
    Ok(Reply::Done)
}
