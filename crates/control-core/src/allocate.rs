//! Which proxies of the pool make a chunk, and which one takes the place of a failed one.
//!
//! A chunk's load falls on its other half when one fails. So a host that is paired with many others spreads
//! its load widely when it is lost, and the pairing is what is kept even.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use model::Address;

use crate::error::ApplyError;
use crate::state::{Half, HostName, State};

/// Among how many hosts with equally many free proxies, and for each among how many equally good partners,
/// the choice is made. More would only matter in pools of more hosts, and would cost time there.
const CANDIDATES_MAX: usize = 32;

/// The pool, host by host, and how often two hosts are paired.
struct Pool {
    free: BTreeMap<HostName, VecDeque<Address>>,
    pairs: BTreeMap<HostName, BTreeMap<HostName, usize>>,
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
        for (host, other) in [(first, second), (second, first)] {
            *self.pairs.entry(host.clone()).or_default().entry(other.clone()).or_default() += 1;
        }
    }

    fn pair_count(&self, host: &HostName, other: &HostName) -> usize {
        self.pairs.get(host).and_then(|others| others.get(other)).copied().unwrap_or(0)
    }

    fn free_count(&self) -> usize {
        self.free.values().map(VecDeque::len).sum()
    }

    /// How good a host is as a partner, the best first: the one that `host` is least paired with, of these the
    /// one with the most free proxies.
    fn rank(&self, host: &HostName, other: &HostName) -> (usize, Reverse<usize>) {
        (self.pair_count(host, other), Reverse(self.free.get(other).map_or(0, VecDeque::len)))
    }

    /// The hosts with free proxies that are the best to pair with `host`: all of one rank.
    fn partners(&self, host: &HostName) -> Vec<&HostName> {
        let others = || self.free.iter().filter(|(other, queue)| *other != host && !queue.is_empty());
        let best = others().map(|(other, _)| self.rank(host, other)).min();
        others().map(|(other, _)| other).filter(|other| Some(self.rank(host, other)) == best).collect()
    }

    /// A chunk's two proxies, on two hosts: one of those with the most free proxies and one of the best to
    /// pair it with. Where there is a choice, those come first that have the least choice: else the last of
    /// them would have to be paired with hosts that have been taken from more often.
    fn take_pair(&mut self) -> Result<[Address; 2], ApplyError> {
        let most = self.free.values().map(VecDeque::len).max().unwrap_or(0);
        let fullest = self.free.iter().filter(|(_, queue)| queue.len() == most).map(|(host, _)| host);
        let fullest: Vec<&HostName> = fullest.take(CANDIDATES_MAX).collect();
        let mut partners: BTreeMap<&HostName, Vec<&HostName>> = BTreeMap::new();
        for host in &fullest {
            partners.insert(host, self.partners(host));
        }
        let mut pairs = Vec::new();
        for host in &fullest {
            let others: Vec<&HostName> = partners[host].iter().take(CANDIDATES_MAX).copied().collect();
            for other in others {
                let (paired, free) = self.rank(host, other);
                let choice = partners.entry(other).or_insert_with(|| self.partners(other)).len();
                pairs.push((free, paired, partners[host].len(), choice, *host, other));
            }
        }
        let best = pairs.into_iter().min().map(|(.., host, other)| (host, other));
        let unbalanced = ApplyError::ResourceNotBalance {
            host: fullest.first().map(ToString::to_string).unwrap_or_default(),
        };
        let Some((host, partner)) = best.map(|(host, other)| (host.clone(), other.clone())) else {
            return Err(unbalanced);
        };
        self.note_pair(&host, &partner);
        self.take(&host).zip(self.take(&partner)).map(<[Address; 2]>::from).ok_or(unbalanced)
    }

    fn take(&mut self, host: &HostName) -> Option<Address> {
        self.free.get_mut(host)?.pop_front()
    }
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
    let (beside, lost) = (state.host_of(partner)?, state.host_of(failed));
    let hosts = pool.free.iter().filter(|(host, queue)| *host != beside && !queue.is_empty());
    let best = hosts.min_by_key(|(host, _)| (lost == Some(*host), pool.rank(beside, host)));
    let host = best.map(|(host, _)| host.clone())?;
    pool.take(&host)
}

#[cfg(test)]
#[path = "allocate_tests.rs"]
mod tests;
