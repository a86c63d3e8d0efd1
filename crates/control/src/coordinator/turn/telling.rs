//! Telling the brokers what this coordinator sees and the metadata does not say. It decides nothing by that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use api::v4::{Observations, UnattachedShard, UnservedShard};
use control_core::query::{BusyShard, Unattached, Unserved, busy, unattached, unserved};
use control_core::{Observed, State, TimeMs};

use super::super::metadata::MetadataSource;

/// Between two words to the brokers on what is seen.
const OBSERVE_INTERVAL: Duration = Duration::from_millis(500);
/// How many shards and how many proxies are told of at most.
const SEEN_MAX: usize = 1_000;

/// What was told, and when.
#[derive(Debug)]
pub(super) struct Telling {
    /// Tells this process from others of its name.
    process: u64,
    /// When the brokers were last told what is seen, and whether that is still under way.
    told_at: Option<Instant>,
    is_under_way: Arc<AtomicBool>,
}

impl Telling {
    /// Nothing was told yet by this process.
    pub(super) fn new(process: u64) -> Self {
        Self { process, told_at: None, is_under_way: Arc::default() }
    }

    /// Tells the brokers what is seen, now and then.
    pub(super) fn tell<M: MetadataSource>(
        &mut self,
        metadata: &M,
        (state, observed): (&State, &Observed),
        now: TimeMs,
    ) {
        if self.told_at.is_some_and(|at| at.elapsed() < OBSERVE_INTERVAL)
            || self.is_under_way.load(Ordering::Acquire)
        {
            return;
        }
        self.told_at = Some(Instant::now());
        let seen = self.seen(state, observed, now);
        let (metadata, is_under_way) = (metadata.clone(), Arc::clone(&self.is_under_way));
        is_under_way.store(true, Ordering::Release);
        tokio::spawn(async move {
            metadata.observe(seen).await;
            is_under_way.store(false, Ordering::Release);
        });
    }

    fn seen(&self, state: &State, observed: &Observed, now: TimeMs) -> Observations {
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
        let unaskable = observed.proxies.iter().filter(|(_, seen)| seen.is_unaskable);
        Observations {
            coordinator: observed.coordinator.0.clone(),
            process: self.process,
            unserved: unserved(state, observed, now).into_iter().take(SEEN_MAX).map(shard).collect(),
            busy: busy(state, observed, now).into_iter().take(SEEN_MAX).map(busy_shard).collect(),
            unattached: unattached.into_iter().take(SEEN_MAX).map(unattached_shard).collect(),
            unaskable: unaskable.map(|(proxy, _)| proxy.clone()).take(SEEN_MAX).collect(),
        }
    }
}
