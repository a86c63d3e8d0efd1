//! How long leases may be: raised before longer ones are granted, lowered when no coordinator asks for them any more.

use super::action::Action;
use super::watch::Watch;
use crate::command::Command;
use crate::lease::lease_end_ms;

/// A limit that this coordinator does not need is lowered after that long. Another one that does need it raises it again, so
/// this is long: two coordinators with different settings must not change it all the time.
const LOWER_AFTER_MS: u64 = 60_000;

/// Adds what there is to do.
pub(super) fn limit(watch: &Watch<'_>, actions: &mut Vec<Action>) {
    let (from, own_ms) = (watch.state.lease_limit, watch.observed.timing.lease_ms);
    let stands_ms = watch.observed.lease_limit.map_or(0, |(_, since)| watch.now.since(since));
    let to = if own_ms > from.granted_ms {
        from.raised(own_ms)
    } else if from.held_ms > from.granted_ms {
        if stands_ms < lease_end_ms(from.held_ms) {
            return;
        }
        from.ended()
    } else if stands_ms >= LOWER_AFTER_MS {
        from.lowered(own_ms)
    } else {
        return;
    };
    if to != from {
        actions.push(Action::Apply(Command::LimitLeases { from, to }));
    }
}
