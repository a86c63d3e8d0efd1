//! Which proxies may be granted a lease, by one reading of the metadata.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use control_core::{Half, State};
use model::{Address, Epoch};
use tokio::sync::watch;

/// One reading of the metadata, as far as leases go.
#[derive(Clone, Debug)]
pub(crate) struct Leases {
    /// When the reading began: what it says was true then or later.
    read_at: Instant,
    /// How long a lease lasts, in milliseconds.
    lease_ms: u64,
    /// Who may have one, with the epoch that its view must have.
    proxies: Arc<HashMap<Address, Epoch>>,
}

impl Leases {
    /// Nobody may have one.
    pub(crate) fn none() -> Self {
        Self { read_at: Instant::now(), lease_ms: 0, proxies: Arc::default() }
    }

    /// The proxies of a state that may have one: the same as [`control_core::lease_epoch`] says of each, but
    /// found in one walk.
    pub(crate) fn of(state: &State, lease_ms: u64, read_at: Instant) -> Self {
        let mut proxies = HashMap::new();
        let chunks = state
            .clusters
            .values()
            .flat_map(|cluster| cluster.chunks.iter().map(|chunk| (cluster.epoch, chunk)));
        for (epoch, chunk) in chunks {
            for half in Half::BOTH {
                let proxy = chunk.proxy(half);
                let mut primaries = chunk.primaries_in(half);
                if !state.is_failed(proxy) && primaries.all(|shard| !chunk.is_lease_kept_back(shard)) {
                    proxies.insert(proxy.clone(), epoch);
                }
            }
        }
        Self { read_at, lease_ms, proxies: Arc::new(proxies) }
    }

    /// The same, read again and found unchanged.
    pub(crate) fn again(&self, lease_ms: u64, read_at: Instant) -> Self {
        Self { read_at, lease_ms, proxies: self.proxies.clone() }
    }

    /// Whether one would be granted to a proxy with that view if the metadata were read again and found unchanged.
    fn awaits_reading(&self, proxy: &Address, epoch: Epoch) -> bool {
        self.proxies.get(proxy).is_some_and(|wanted| epoch >= *wanted)
    }

    /// How long a lease to grant, in milliseconds, in answer to a token that came at `token_at`: none unless the
    /// metadata was read after that, because a lease counts from the token. `epoch` is that of the view that the proxy
    /// had then.
    pub(crate) fn grant(&self, proxy: &Address, token_at: Instant, epoch: Epoch) -> Option<u64> {
        let wanted = *self.proxies.get(proxy)?;
        (self.read_at >= token_at && epoch >= wanted).then_some(self.lease_ms)
    }
}

/// Waits until a lease can be granted to a proxy: for ever to one that is not to have any by what was read last.
/// `(token_at, epoch)`: when it gave its token, and the view that it had then.
pub(crate) async fn grantable(
    leases: &mut watch::Receiver<Leases>,
    proxy: &Address,
    (token_at, epoch): (Instant, Epoch),
) {
    loop {
        {
            let read = leases.borrow_and_update();
            if read.grant(proxy, token_at, epoch).is_some() {
                return;
            }
            if !read.awaits_reading(proxy, epoch) {
                break;
            }
        }
        if leases.changed().await.is_err() {
            break;
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use control_core::{Command, FenceReason, NewProxy, TimeMs, apply, lease_epoch};

    use super::*;

    fn state() -> State {
        let mut state = State::default();
        for host in 1..=5 {
            let address = |port: u16| Address::new(&format!("10.0.0.{host}"), port).unwrap();
            let nodes = vec![address(6379), address(6380)];
            let new = NewProxy { address: address(5299), nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        let create = Command::CreateCluster {
            cluster: "c".parse().unwrap(),
            node_number: 8,
            config: BTreeMap::new(),
            now: TimeMs(1),
        };
        apply(&mut state, create).unwrap();
        state
    }

    #[test]
    fn the_walk_says_what_the_rule_says() {
        let mut state = state();
        let primary = state.clusters.values().next().unwrap().chunks[0].primary(Half::First).clone();
        let fence = Command::FenceShard {
            cluster: "c".parse().unwrap(),
            primary,
            reason: FenceReason::Dead,
            now: TimeMs(2),
        };
        for fenced in [false, true] {
            if fenced {
                apply(&mut state, fence.clone()).unwrap();
            }
            let leases = Leases::of(&state, 400, Instant::now());
            for proxy in state.proxies.keys() {
                assert_eq!(leases.proxies.get(proxy).copied(), lease_epoch(&state, proxy), "{proxy}");
            }
            assert_eq!(leases.proxies.len(), 4 - usize::from(fenced));
        }
    }

    #[test]
    fn no_lease_by_what_was_read_before_the_token() {
        let (state, now) = (state(), Instant::now());
        let leases = Leases::of(&state, 400, now);
        let proxy = state.clusters.values().next().unwrap().chunks[0].proxies[0].clone();
        let later = now + Duration::from_millis(1);
        let epoch = state.clusters.values().next().unwrap().epoch;
        assert_eq!(leases.grant(&proxy, now, epoch), Some(400));
        assert_eq!(leases.grant(&proxy, now, Epoch(epoch.0 + 1)), Some(400));
        assert_eq!(leases.grant(&proxy, later, epoch), None);
        assert!(leases.awaits_reading(&proxy, epoch) && !leases.awaits_reading(&proxy, Epoch(epoch.0 - 1)));
        assert_eq!(leases.again(500, later).grant(&proxy, later, epoch), Some(500));
        assert_eq!(leases.grant(&"10.9.9.9:5299".parse().unwrap(), now, epoch), None);
        // One that still has an older view might serve what is another's by now.
        assert_eq!(leases.grant(&proxy, now, Epoch(epoch.0 - 1)), None);
    }

    #[tokio::test]
    async fn a_lease_is_waited_for_until_the_metadata_have_been_read_again() {
        let (state, now) = (state(), Instant::now());
        let cluster = state.clusters.values().next().unwrap();
        let (proxy, epoch) = (cluster.chunks[0].proxies[0].clone(), cluster.epoch);
        let later = now + Duration::from_millis(1);
        let (sender, mut leases) = watch::channel(Leases::of(&state, 400, now));
        grantable(&mut leases, &proxy, (now, epoch)).await;
        let is_waiting = async |leases: &mut watch::Receiver<Leases>, epoch| {
            let wait = grantable(leases, &proxy, (later, epoch));
            tokio::time::timeout(Duration::from_millis(10), wait).await.is_err()
        };
        assert!(is_waiting(&mut leases, epoch).await, "it was read before the token");
        let again = sender.borrow().again(400, later);
        sender.send_replace(again);
        grantable(&mut leases, &proxy, (later, epoch)).await;
        assert!(is_waiting(&mut leases, Epoch(epoch.0 - 1)).await, "the view is too old");
    }
}
