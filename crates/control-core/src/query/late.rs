//! Which living proxies have not taken what the metadata has for them, as one coordinator sees it.

use model::Address;

use crate::diagnose::{ProxyCondition, proxy_condition};
use crate::observed::Observed;
use crate::time::TimeMs;

/// A push takes some milliseconds, and is tried again five times a second.
const LATE_MS_MIN: u64 = 3_000;

/// A proxy that answers, and has an older view or older roles than it should have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LateProxy {
    /// The proxy.
    pub proxy: Address,
    /// For how long it has had what it has although there is something newer, in milliseconds.
    pub for_ms: u64,
}

/// The proxies that live and do not take what they are given, or cannot be given it.
#[must_use]
pub fn late(observed: &Observed, now: TimeMs) -> Vec<LateProxy> {
    let mut found: Vec<LateProxy> = observed
        .late
        .iter()
        .map(|(proxy, seen)| LateProxy { proxy: proxy.clone(), for_ms: now.since(seen.since) })
        .filter(|late| late.for_ms >= LATE_MS_MIN)
        .filter(|late| proxy_condition(observed, &late.proxy, now) == ProxyCondition::Alive)
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Epoch, ProxyHealth};

    use super::*;
    use crate::apply;
    use crate::command::{Command, NewProxy};
    use crate::state::{ReporterId, State};
    use crate::timing::Timing;

    fn address(host: u8, port: u16) -> Address {
        Address::new(&format!("10.0.0.{host}"), port).unwrap()
    }

    /// Two proxies of a cluster, and one of the pool.
    fn state() -> State {
        let mut state = State::default();
        for host in 1..=3 {
            let nodes = vec![address(host, 1), address(host, 2)];
            let new = NewProxy { address: address(host, 5299), nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        let (cluster, config, now) = ("db".parse().unwrap(), BTreeMap::new(), TimeMs(0));
        apply(&mut state, Command::CreateCluster { cluster, node_number: 4, config, now }).unwrap();
        state
    }

    /// Looks ten times a second until then; `epoch` says what each proxy has, or that it does not answer.
    fn watch(
        state: &mut State,
        until: u64,
        mut epoch: impl FnMut(&State, &Address, u64) -> Option<Epoch>,
    ) -> Vec<LateProxy> {
        let mut observed = Observed::new(ReporterId("c".to_owned()), Timing::default(), TimeMs(0));
        for now in (0..=until).step_by(100) {
            observed.note_state(state, TimeMs(now), TimeMs(now));
            for proxy in state.proxies.keys() {
                if let Some(epoch) = epoch(state, proxy, now) {
                    let health =
                        ProxyHealth { view_epoch: epoch, roles_epoch: epoch, ..ProxyHealth::default() };
                    observed.note_answer(proxy, health, TimeMs(now), TimeMs(now));
                }
            }
        }
        late(&observed, TimeMs(until))
    }

    fn wanted(state: &State, proxy: &Address) -> Epoch {
        let record = &state.proxies[proxy];
        record.cluster.as_ref().map_or(record.epoch, |name| state.clusters[name].epoch)
    }

    #[test]
    fn one_that_lives_and_takes_nothing_is_late() {
        let found = |host, until| {
            watch(&mut state(), until, |state, proxy, _| {
                Some(if *proxy == address(host, 5299) { Epoch(0) } else { wanted(state, proxy) })
            })
        };
        assert_eq!(found(1, 2_900), []);
        for host in [1, 3] {
            // It was heard for the first time after the first look.
            let late = LateProxy { proxy: address(host, 5299), for_ms: 3_900 };
            assert_eq!(found(host, 4_000), [late]);
        }
    }

    #[test]
    fn others_are_not() {
        let all = |epoch: fn(&State, &Address, u64) -> Option<Epoch>| watch(&mut state(), 10_000, epoch);
        assert_eq!(all(|state, proxy, _| Some(wanted(state, proxy))), [], "they have what they should have");
        assert_eq!(all(|_, _, now| (now < 1_000).then_some(Epoch(0))), [], "they are silent");
        let follows = |_: &State, _: &Address, now: u64| Some(Epoch(now / 1_000));
        let mut changing = state();
        changing.clusters.values_mut().for_each(|cluster| cluster.epoch = Epoch(1_000_000));
        changing.proxies.values_mut().for_each(|record| record.epoch = Epoch(1_000_000));
        assert_eq!(watch(&mut changing, 10_000, follows), [], "they follow what changes without end");
        let mut reviewed = state();
        reviewed.clusters.values_mut().for_each(|cluster| cluster.review = true);
        reviewed.proxies.values_mut().for_each(|record| record.review = record.cluster.is_none());
        assert_eq!(watch(&mut reviewed, 10_000, |_, _, _| Some(Epoch(0))), [], "they are told nothing");
    }
}
