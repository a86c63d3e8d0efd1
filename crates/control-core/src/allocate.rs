//! Which proxies of the pool make a chunk, and which one takes the place of a failed one.
//!
//! A chunk's load falls on its other half when one fails. So a host that is paired with many others spreads
//! its load widely when it is lost, and the pairing is what is kept even.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use model::Address;

use crate::error::ApplyError;
use crate::state::{Half, HostName, State};

/// The pool, host by host, and how often two hosts are paired.
struct Pool {
    free: BTreeMap<HostName, VecDeque<Address>>,
    pairs: BTreeMap<(HostName, HostName), usize>,
}

impl Pool {
    fn new(state: &State) -> Self {
        let mut free: BTreeMap<HostName, VecDeque<Address>> = BTreeMap::new();
        // Clean ones first: they can serve at once.
        for dirty in [false, true] {
            for (address, proxy) in state.proxies.iter().filter(|(_, p)| p.is_free() && p.dirty == dirty) {
                free.entry(proxy.host.clone()).or_default().push_back(address.clone());
            }
        }
        let mut pool = Self { free, pairs: BTreeMap::new() };
        for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
            let hosts = Half::BOTH.map(|half| state.host_of(chunk.proxy(half)));
            if let [Some(first), Some(second)] = hosts {
                pool.note_pair(first, second);
            }
        }
        pool
    }

    fn note_pair(&mut self, first: &HostName, second: &HostName) {
        *self.pairs.entry(ordered(first, second)).or_default() += 1;
    }

    fn pair_count(&self, first: &HostName, second: &HostName) -> usize {
        self.pairs.get(&ordered(first, second)).copied().unwrap_or(0)
    }

    fn free_count(&self) -> usize {
        self.free.values().map(VecDeque::len).sum()
    }

    /// The host with the most free proxies; of several the first by name.
    fn fullest(&self) -> Option<HostName> {
        let hosts = self.free.iter().filter(|(_, queue)| !queue.is_empty());
        hosts.min_by_key(|(_, queue)| Reverse(queue.len())).map(|(host, _)| host.clone())
    }

    /// The host to pair with `host`: the one that it is least paired with, of these the one with the most
    /// free proxies, of these the first by name. `avoided` comes last of all.
    fn partner(&self, host: &HostName, avoided: Option<&HostName>) -> Option<HostName> {
        let others = self.free.iter().filter(|(other, queue)| *other != host && !queue.is_empty());
        let rank = |(other, queue): &(&HostName, &VecDeque<Address>)| {
            (avoided == Some(*other), self.pair_count(host, other), Reverse(queue.len()))
        };
        others.min_by_key(rank).map(|(other, _)| other.clone())
    }

    /// A chunk's two proxies, on two hosts.
    fn take_pair(&mut self) -> Result<[Address; 2], ApplyError> {
        let host = self.fullest().ok_or(ApplyError::NoAvailableResource { needed: 2, free: 0 })?;
        let unbalanced = || ApplyError::ResourceNotBalance { host: host.to_string() };
        let partner = self.partner(&host, None).ok_or_else(unbalanced)?;
        self.note_pair(&host, &partner);
        let pair = self.take(&host).zip(self.take(&partner));
        pair.map(<[Address; 2]>::from).ok_or_else(unbalanced)
    }

    fn take(&mut self, host: &HostName) -> Option<Address> {
        self.free.get_mut(host)?.pop_front()
    }
}

fn ordered(first: &HostName, second: &HostName) -> (HostName, HostName) {
    let (low, high) = if first <= second { (first, second) } else { (second, first) };
    (low.clone(), high.clone())
}

/// Proxies for that many chunks. It takes the host with the most free proxies each time, so that none are
/// left over as long as no host has more than all others together.
pub(crate) fn allocate(state: &State, chunks: usize) -> Result<Vec<[Address; 2]>, ApplyError> {
    let mut pool = Pool::new(state);
    check_free(chunks, pool.free_count())?;
    (0..chunks).map(|_| pool.take_pair()).collect()
}

/// Proxies for that many chunks by their index, beginning with `first_index`.
pub(crate) fn allocate_in_order(
    state: &State,
    chunks: usize,
    first_index: u64,
) -> Result<Vec<[Address; 2]>, ApplyError> {
    let free = state.proxies.iter().filter(|(_, proxy)| proxy.is_free());
    let by_index: BTreeMap<u64, &Address> =
        free.filter_map(|(address, proxy)| Some((proxy.index?, address))).collect();
    check_free(chunks, by_index.len())?;
    let at = |index: u64| {
        let found = by_index.get(&index).copied().cloned();
        found.ok_or(ApplyError::ProxyResourceOutOfOrder { expected: index })
    };
    (0..chunks as u64)
        .map(|chunk| Ok([at(first_index + 2 * chunk)?, at(first_index + 2 * chunk + 1)?]))
        .collect()
}

fn check_free(chunks: usize, free: usize) -> Result<(), ApplyError> {
    let needed = chunks.saturating_mul(2);
    if needed <= free { Ok(()) } else { Err(ApplyError::NoAvailableResource { needed, free }) }
}

/// The proxy that takes the place of `failed` beside `partner`: not on the partner's host, and on that of
/// the failed one only if there is no other.
pub(crate) fn replacement(state: &State, failed: &Address, partner: &Address) -> Option<Address> {
    let mut pool = Pool::new(state);
    let host = pool.partner(state.host_of(partner)?, state.host_of(failed))?;
    pool.take(&host)
}

#[cfg(test)]
#[path = "allocate_tests.rs"]
mod tests;
