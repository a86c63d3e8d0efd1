//! Telling the brokers what this coordinator sees and the metadata does not say. It decides nothing by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::v4::{Observations, UnattachedShard, UnservedShard};
use control_core::query::{BusyShard, LateProxy, Unattached, Unserved, busy, late, unattached, unserved};
use control_core::{Observed, State, TimeMs};
use model::Address;

use super::super::metadata::MetadataSource;
use super::super::proxies::Proxies;
use super::missing::Missing;

/// Between two words to the brokers while they say the same.
const REPEAT_INTERVAL: Duration = Duration::from_millis(500);
/// Between two words at least, however much changes.
const NEWS_INTERVAL: Duration = Duration::from_millis(50);
/// How many shards and how many proxies are told of at most.
const SEEN_MAX: usize = 1_000;
/// How much of a proxy's refusal is told.
const WHY_CHARS_MAX: usize = 200;

/// What was told, and when.
#[derive(Debug)]
pub(super) struct Telling {
    /// Tells this process from others of its name.
    process: u64,
    /// What the brokers were last told, and when.
    told: Option<(Instant, Observations)>,
    /// They are still being told.
    is_under_way: Arc<AtomicBool>,
}

impl Telling {
    /// Nothing was told yet by this process.
    pub(super) fn new(process: u64) -> Self {
        Self { process, told: None, is_under_way: Arc::default() }
    }

    /// Tells the brokers what is seen: at once what has changed, and the rest now and then. What was true a moment ago would
    /// else be shown beside newer metadata.
    pub(super) fn tell<M: MetadataSource>(
        &mut self,
        metadata: &M,
        (state, observed): (&State, &Observed),
        (proxies, missing): (&Proxies, &Missing),
        now: TimeMs,
    ) {
        let at = Instant::now();
        let is_too_soon =
            self.told.as_ref().is_some_and(|(told_at, _)| at.duration_since(*told_at) < NEWS_INTERVAL);
        if is_too_soon || self.is_under_way.load(Ordering::Acquire) {
            return;
        }
        let missing = missing.clusters().take(SEEN_MAX).cloned().collect();
        let seen = Observations { missing, ..self.seen(state, observed, proxies, now) };
        if !self.is_due(&seen, at) {
            return;
        }
        self.told = Some((at, seen.clone()));
        let (metadata, is_under_way) = (metadata.clone(), Arc::clone(&self.is_under_way));
        is_under_way.store(true, Ordering::Release);
        tokio::spawn(async move {
            metadata.observe(seen).await;
            is_under_way.store(false, Ordering::Release);
        });
    }

    fn is_due(&self, seen: &Observations, at: Instant) -> bool {
        self.told.as_ref().is_none_or(|(told_at, told)| {
            differs(told, seen) || at.duration_since(*told_at) >= REPEAT_INTERVAL
        })
    }

    fn seen(&self, state: &State, observed: &Observed, proxies: &Proxies, now: TimeMs) -> Observations {
        let shard = |shard: Unserved| UnservedShard {
            cluster: shard.cluster,
            primary: shard.primary,
            why: shard.why,
        };
        let busy_shard =
            |BusyShard { cluster, primary, for_ms }| api::v4::BusyShard { cluster, primary, for_ms };
        let unattached_shard =
            |Unattached { cluster, primary, for_ms }| UnattachedShard { cluster, primary, for_ms };
        let unattached = unattached(state, observed, now);
        let late_proxy = |LateProxy { proxy, for_ms }| {
            let why = proxies.failure(&proxy).map(|why| why.chars().take(WHY_CHARS_MAX).collect());
            api::v4::LateProxy { proxy, for_ms, why }
        };
        let unaskable = observed.proxies.iter().filter(|(_, seen)| seen.is_unaskable);
        let mut unaskable: Vec<Address> = unaskable.map(|(proxy, _)| proxy.clone()).collect();
        unaskable.sort();
        unaskable.truncate(SEEN_MAX);
        Observations {
            coordinator: observed.coordinator.0.clone(),
            process: self.process,
            unserved: unserved(state, observed, now).into_iter().take(SEEN_MAX).map(shard).collect(),
            busy: busy(state, observed, now).into_iter().take(SEEN_MAX).map(busy_shard).collect(),
            unattached: unattached.into_iter().take(SEEN_MAX).map(unattached_shard).collect(),
            late: late(observed, now).into_iter().take(SEEN_MAX).map(late_proxy).collect(),
            unaskable,
            missing: Vec::new(),
        }
    }
}

/// Whether two words say different things, apart from durations, which always differ.
fn differs(told: &Observations, seen: &Observations) -> bool {
    fn timeless(seen: &Observations) -> Observations {
        let mut seen = seen.clone();
        seen.busy.iter_mut().for_each(|shard| shard.for_ms = 0);
        seen.unattached.iter_mut().for_each(|shard| shard.for_ms = 0);
        seen.late.iter_mut().for_each(|proxy| proxy.for_ms = 0);
        seen
    }
    timeless(told) != timeless(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unserved(why: &str) -> Observations {
        let (cluster, primary) = ("db".parse().unwrap(), "a:1".parse().unwrap());
        let unserved = vec![UnservedShard { cluster, primary, why: why.to_owned() }];
        Observations { unserved, ..Observations::default() }
    }

    fn busy(for_ms: u64) -> Observations {
        let (cluster, primary) = ("db".parse().unwrap(), "a:1".parse().unwrap());
        let busy = vec![api::v4::BusyShard { cluster, primary, for_ms }];
        Observations { busy, ..Observations::default() }
    }

    #[test]
    fn what_has_changed_is_told_at_once() {
        let begun = Instant::now();
        let nothing = Observations::default();
        for (told, seen, after_ms, is_due) in [
            (None, &nothing, 0, true),
            (Some(&nothing), &nothing, 499, false),
            (Some(&nothing), &nothing, 500, true),
            (Some(&unserved("it is still a replica")), &nothing, 50, true),
            (Some(&nothing), &unserved("it is still a replica"), 50, true),
            (Some(&unserved("it is still a replica")), &unserved("it is still a replica"), 50, false),
            (Some(&unserved("it is still a replica")), &unserved("it loads its data"), 50, true),
            (Some(&busy(600)), &busy(650), 50, false),
            (Some(&busy(600)), &nothing, 50, true),
        ] {
            let told = told.map(|told| (begun, told.clone()));
            let telling = Telling { told, ..Telling::new(1) };
            let at = begun + Duration::from_millis(after_ms);
            assert_eq!(telling.is_due(seen, at), is_due, "{telling:?} {seen:?} {after_ms}");
        }
    }
}
