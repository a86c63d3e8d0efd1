//! Which proxies of the pool make a chunk, and which one takes the place of a failed one.
//!
//! A chunk's load falls on its other half when one fails. So a host that is paired with many others spreads
//! its load widely when it is lost, and the pairing is what is kept even.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use model::Address;

use crate::error::ApplyError;
use crate::state::{Half, HostName, State};

/// Among how many hosts with equally many free proxies, and for each among how many equally good partners,
/// the choice is made. More would only matter in pools of more hosts, and would cost time there.
const CANDIDATES_MAX: usize = 32;

/// A host by its place among the hosts, which are sorted by name: so the first by name is the lowest.
type Host = usize;

/// The pool, host by host, and how often two hosts are paired.
struct Pool<'a> {
    hosts: Vec<&'a HostName>,
    free: Vec<VecDeque<&'a Address>>,
    pairs: Vec<HashMap<Host, usize>>,
}

/// How good a host is as a partner, the best first: the one that is least paired with the other, of these
/// the one with the most free proxies.
type Rank = (usize, Reverse<usize>);

impl<'a> Pool<'a> {
    fn new(state: &'a State) -> Self {
        let hosts: BTreeSet<&HostName> = state.proxies.values().map(|proxy| &proxy.host).collect();
        let hosts: Vec<&HostName> = hosts.into_iter().collect();
        let (free, pairs) = (vec![VecDeque::new(); hosts.len()], vec![HashMap::new(); hosts.len()]);
        let mut pool = Self { hosts, free, pairs };
        // Clean ones first: they can serve at once. Last those whose nodes may hold the only copy of something.
        let formers = state.formers();
        let mut free: Vec<_> = state.proxies.iter().filter(|(_, proxy)| proxy.is_free()).collect();
        free.sort_by_key(|(address, proxy)| (formers.contains(address), proxy.dirty));
        for (address, proxy) in free {
            if let Some(host) = pool.place(&proxy.host) {
                pool.free[host].push_back(address);
            }
        }
        for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
            let hosts = Half::BOTH.map(|half| pool.place(state.host_of(chunk.proxy(half))?));
            if let [Some(first), Some(second)] = hosts {
                pool.note_pair(first, second);
            }
        }
        pool
    }

    fn place(&self, host: &HostName) -> Option<Host> {
        self.hosts.binary_search(&host).ok()
    }

    fn note_pair(&mut self, first: Host, second: Host) {
        *self.pairs[first].entry(second).or_default() += 1;
        *self.pairs[second].entry(first).or_default() += 1;
    }

    fn free_count(&self) -> usize {
        self.free.iter().map(VecDeque::len).sum()
    }

    fn rank(&self, host: Host, other: Host) -> Rank {
        let paired = self.pairs[host].get(&other).copied().unwrap_or(0);
        (paired, Reverse(self.free[other].len()))
    }

    /// The hosts with free proxies that are the best to pair with `host`, all of one rank, lowest first.
    fn partners(&self, host: Host) -> Vec<Host> {
        let mut paired = vec![0; self.hosts.len()];
        self.pairs[host].iter().for_each(|(other, count)| paired[*other] = *count);
        let mut best: Option<Rank> = None;
        let mut partners = Vec::new();
        for (other, queue) in self.free.iter().enumerate() {
            if other == host || queue.is_empty() {
                continue;
            }
            let rank = (paired[other], Reverse(queue.len()));
            if best.is_none_or(|best| rank < best) {
                best = Some(rank);
                partners.clear();
            }
            if best == Some(rank) {
                partners.push(other);
            }
        }
        partners
    }

    /// A chunk's two proxies, on two hosts: one of those with the most free proxies and one of the best to
    /// pair it with. Where there is a choice, those come first that have the least choice: else the last of
    /// them would have to be paired with hosts that have been taken from more often.
    fn take_pair(&mut self) -> Result<[Address; 2], ApplyError> {
        let most = self.free.iter().map(VecDeque::len).max().unwrap_or(0);
        let fullest = (0..self.hosts.len()).filter(|host| self.free[*host].len() == most);
        let fullest: Vec<Host> = fullest.take(CANDIDATES_MAX).collect();
        let mut partners: BTreeMap<Host, Vec<Host>> =
            fullest.iter().map(|host| (*host, self.partners(*host))).collect();
        let mut pairs = Vec::new();
        for host in &fullest {
            let choice = partners[host].len();
            let others: Vec<Host> = partners[host].iter().take(CANDIDATES_MAX).copied().collect();
            for other in others {
                let (paired, free) = self.rank(*host, other);
                let other_choice = partners.entry(other).or_insert_with(|| self.partners(other)).len();
                pairs.push((free, paired, choice, other_choice, *host, other));
            }
        }
        let Some((.., host, partner)) = pairs.into_iter().min() else {
            let host = fullest.first().map(|host| self.hosts[*host].to_string());
            return Err(ApplyError::ResourceNotBalance { host: host.unwrap_or_default() });
        };
        self.note_pair(host, partner);
        Ok([self.take(host), self.take(partner)])
    }

    fn take(&mut self, host: Host) -> Address {
        self.free[host].pop_front().expect("only hosts with free proxies are chosen").clone()
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
/// the failed one only if there is no other. When the whole host is lost, the others there will need one
/// each, too; none is taken that would leave one of them without, if that can be helped.
pub(crate) fn replacement(state: &State, failed: &Address, partner: &Address) -> Option<Address> {
    let mut pool = Pool::new(state);
    let beside = pool.place(state.host_of(partner)?)?;
    let lost = state.host_of(failed).and_then(|host| pool.place(host));
    let needed = lost.map(|lost| needed_elsewhere(state, &pool, lost, failed)).unwrap_or_default();
    let free: usize = pool.free_count() - lost.map_or(0, |lost| pool.free[lost].len());
    let leaves_enough = |taken: Host| {
        let left =
            |avoided: Host| free.saturating_sub(1 + pool.free[avoided].len()) + usize::from(avoided == taken);
        needed.iter().all(|(avoided, count)| *count <= left(*avoided))
    };
    let hosts = (0..pool.hosts.len()).filter(|host| *host != beside && !pool.free[*host].is_empty());
    let rank = |host: &Host| (lost == Some(*host), !leaves_enough(*host), pool.rank(beside, *host));
    let best = hosts.min_by_key(rank)?;
    Some(pool.take(best))
}

/// How many other proxies in use are on the lost host, by the host of their partner, where their
/// replacement must not be.
fn needed_elsewhere(state: &State, pool: &Pool<'_>, lost: Host, failed: &Address) -> BTreeMap<Host, usize> {
    let mut needed = BTreeMap::new();
    for chunk in state.clusters.values().flat_map(|cluster| &cluster.chunks) {
        for half in Half::BOTH.into_iter().filter(|half| chunk.proxy(*half) != failed) {
            let place = |half| pool.place(state.host_of(chunk.proxy(half))?);
            if place(half) == Some(lost)
                && let Some(partner) = place(half.other())
            {
                *needed.entry(partner).or_default() += 1;
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests;
