//! Reports that a proxy has failed, and that it is well again.

use model::Address;

use super::proxies::empty_anew;
use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{ReporterId, State, Vouch};
use crate::time::TimeMs;

/// Reports are kept this many times as long as they count: brokers' clocks may differ, and coordinators judge the age of a
/// report by when they first saw it.
const KEPT_LONGER: u64 = 10;

/// How long what was said in an earlier dispute is kept, at most. Longer than brokers' clocks may be apart: a coordinator
/// that does not hear a proxy reports it again right after another has had it return, and maybe to another broker; that
/// must not take back what the other one said. How long it counts coordinators judge by their own clocks.
const VOUCH_KEPT_MS: u64 = 600_000;

/// Notes a report, and drops those that are long too old to count.
pub(super) fn report(
    state: &mut State,
    proxy: &Address,
    reporter: ReporterId,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let is_disputed = state.failures.contains_key(proxy);
    // Who vouched takes that back; and what was said in an earlier dispute does not count in a new one.
    let is_over =
        |vouch: &Vouch| vouch.by == reporter || (!is_disputed && now.since(vouch.at) > VOUCH_KEPT_MS);
    if state.proxy(proxy)?.vouched.as_ref().is_some_and(is_over)
        && let Some(record) = state.proxies.get_mut(proxy)
    {
        record.vouched = None;
    }
    let kept_ms = state.settings.failure_ttl_ms.saturating_mul(KEPT_LONGER);
    let reports = state.failures.get_or_default(proxy);
    reports.insert(reporter, now);
    let is_old = |at: &TimeMs| now.since(*at) > kept_ms;
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
/// others report stands until they take it back or it is too old; meanwhile this reporter vouches for the proxy.
pub(super) fn returned(
    state: &mut State,
    proxy: &Address,
    reporter: ReporterId,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    state.proxy(proxy)?;
    let time_to_live_ms = state.settings.failure_ttl_ms;
    let had_report = state.failures.get_mut(proxy).is_some_and(|reports| {
        let had_report = reports.remove(&reporter).is_some();
        // Who reports it still says so again in time; the others are gone.
        reports.retain(|_, at| now.since(*at) <= time_to_live_ms);
        had_report
    });
    state.failures.retain(|_, reports| !reports.is_empty());
    let (is_reported, is_failed) = (state.failures.contains_key(proxy), state.is_failed(proxy));
    if let Some(record) = state.proxies.get_mut(proxy).filter(|_| had_report || is_reported || is_failed) {
        record.failed_since = None;
        record.comebacks = record.comebacks.next();
        // Who had it fail does not hear it and says so again; that must not have it fail again. What another has vouched
        // for stands, too: the line of this one may break again in a moment.
        if is_reported || is_failed {
            record.vouched = Some(Vouch { by: reporter, at: now });
        } else {
            record.vouched.take_if(|vouch| vouch.by == reporter);
        }
    }
    if is_failed {
        empty_anew(state, proxy);
    }
    Ok(Reply::Done)
}
