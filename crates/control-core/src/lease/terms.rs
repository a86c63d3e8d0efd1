//! Which proxies may be granted a lease, by one reading of the metadata.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::{Address, Epoch, Moment};

use crate::state::{Chunk, Half, State};

/// The epoch that a proxy's view must have for a coordinator that has this state to grant its primaries a lease;
/// none while none may be granted: one of them is being taken out of service, and the coordinator that promotes waits
/// for the last lease to run out.
#[must_use]
pub fn lease_epoch(state: &State, proxy: &Address) -> Option<Epoch> {
    let record = state.proxies.get(proxy)?;
    let cluster = record.cluster.as_ref().and_then(|name| state.clusters.get(name))?;
    let (place, half) = cluster.place_of(proxy).filter(|_| !cluster.review)?;
    may_have_one(state, &cluster.chunks[place], half).then_some(cluster.epoch)
}

fn may_have_one(state: &State, chunk: &Chunk, half: Half) -> bool {
    let proxy = chunk.proxy(half);
    !state.is_failed(proxy) && chunk.primaries_in(half).all(|shard| !chunk.is_lease_kept_back(shard))
}

/// One reading of the metadata, as far as leases go. A copy costs little.
#[derive(Clone, Debug)]
pub struct LeaseTerms {
    /// When the reading began: what it says was true then or later.
    pub(super) read_at: Moment,
    /// How long a lease lasts, in milliseconds: no longer than the metadata lets it.
    pub(super) lease_ms: u64,
    /// What the metadata lets it, in milliseconds.
    limit_ms: u64,
    /// The highest epoch that this metadata has given out.
    pub(super) newest: Epoch,
    /// Who may have one, with the epoch that its view must have.
    proxies: Arc<HashMap<Address, Epoch>>,
    /// The proxies that were called silent with this reading, and when that was said.
    silent: (Arc<BTreeMap<Address, u64>>, Moment),
}

impl LeaseTerms {
    /// Nobody may have one: nothing has been read yet.
    #[must_use]
    pub fn none() -> Self {
        Self {
            read_at: Moment::default(),
            lease_ms: 0,
            limit_ms: 0,
            newest: Epoch::default(),
            proxies: Arc::default(),
            silent: Default::default(),
        }
    }

    /// The proxies of a state that may have one, as [`lease_epoch`] says of each, found in one walk. `read_at`: when
    /// the reading began.
    #[must_use]
    pub fn of(state: &State, lease_ms: u64, read_at: Moment) -> Self {
        let mut proxies = HashMap::new();
        // One under review may have a newer primary than the proxy that asks.
        for cluster in state.clusters.values().filter(|cluster| !cluster.review) {
            for chunk in &cluster.chunks {
                let granted = Half::BOTH.into_iter().filter(|half| may_have_one(state, chunk, *half));
                proxies.extend(granted.map(|half| (chunk.proxy(half).clone(), cluster.epoch)));
            }
        }
        let limit_ms = state.lease_limit.granted_ms;
        let lease_ms = lease_ms.min(limit_ms);
        Self {
            read_at,
            lease_ms,
            limit_ms,
            newest: state.global_epoch,
            proxies: Arc::new(proxies),
            silent: Default::default(),
        }
    }

    /// The same, of a reading with which these proxies were called silent at that moment: a token of theirs that came later
    /// waits for another reading, because the broker was told that there is none.
    #[must_use]
    pub fn noted(self, silent: BTreeMap<Address, u64>, at: Moment) -> Self {
        Self { silent: (Arc::new(silent), at), ..self }
    }

    /// These terms, read again and found unchanged.
    #[must_use]
    pub fn again(&self, lease_ms: u64, read_at: Moment) -> Self {
        let (proxies, silent) = (self.proxies.clone(), Default::default());
        Self { read_at, lease_ms: lease_ms.min(self.limit_ms), proxies, silent, ..*self }
    }

    /// The epoch that the view of a proxy must have; `None` if it may not have a lease.
    #[must_use]
    pub fn epoch_for(&self, proxy: &Address) -> Option<Epoch> {
        self.proxies.get(proxy).copied()
    }

    /// Whether a token that came then came before this reading.
    pub(super) fn began_after(&self, came: Moment, proxy: &Address) -> bool {
        let (silent, noted_at) = &self.silent;
        came <= self.read_at && (came < *noted_at || !silent.contains_key(proxy))
    }

    /// How many proxies may have one.
    #[must_use]
    pub fn proxy_count(&self) -> usize {
        self.proxies.len()
    }
}
