//! Proxies that are registered and of which nothing is known: another control plane's, or those of metadata that are lost.

use super::*;
use crate::error::ApplyError;

/// An empty store in which all proxies of `truth` are registered after some changes, so that its epochs are lower or higher.
fn announced(truth: &State, asked: &AskedProxies, epoch: Epoch) -> State {
    let mut state = State::default();
    if epoch > Epoch(0) {
        done(&mut state, Command::RaiseEpoch { epoch });
    }
    for (address, record) in &truth.proxies {
        let nodes = record.nodes.to_vec();
        let new = NewProxy { address: address.clone(), nodes: nodes.clone(), host: None, index: None };
        // As the broker does, which asks it; or cannot.
        let seen = asked.get(address).and_then(Option::as_ref).and_then(|found| found.is_idle(&nodes));
        let command = match seen {
            Some(true) => Command::RegisterProxy(new),
            seen => Command::AnnounceProxy { new, is_at_work: seen == Some(false), serves_nobody: false },
        };
        done(&mut state, command);
    }
    state
}

#[test]
fn what_is_served_by_proxies_that_are_registered_stays_served() {
    let truth = state(6);
    let asked = answers(&truth);
    let silent: AskedProxies = truth.proxies.keys().map(|address| (address.clone(), None)).collect();
    let at_work = |address: &Address| truth.proxies.get(address).unwrap().cluster.is_some();
    for (epoch, at_first) in
        [(Epoch(0), &asked), (truth.global_epoch, &asked), (Epoch(1_000), &asked), (Epoch(1_000), &silent)]
    {
        let mut state = announced(&truth, at_first, epoch);
        for _ in 0..3 {
            // Nobody is told anything by whom clients are served.
            for action in reconcile(&state, &observed(&asked), TimeMs(NOW.0 + 10)) {
                match action {
                    Action::Push { proxy, .. } | Action::Clean { proxy, .. } => {
                        assert!(!at_work(&proxy), "{epoch}: {proxy}");
                    }
                    Action::Apply(command) => drop(apply(&mut state, command)),
                }
            }
            settle(&mut state, &asked);
        }
        let (cluster_name, config) = ("mine".parse().unwrap(), BTreeMap::new());
        let create = Command::CreateCluster { cluster: cluster_name, node_number: 8, config, now: NOW };
        let refused = apply(&mut state, create);
        assert!(matches!(refused, Err(ApplyError::NoAvailableResource { .. })), "{epoch}: {refused:?}");
        for (address, record) in &state.proxies {
            assert_eq!(record.is_free(), !at_work(address), "{epoch}: {address}");
            assert_eq!(record.is_new && record.review, at_work(address), "{epoch}: {address}");
        }
        // An operator says that they are ours.
        let left = review(&state, &asked);
        let told = left.clusters.get(&cluster()).unwrap();
        assert!(told.obstacles.iter().any(|why| why.contains("another control plane")), "{told:?}");
        assert_eq!(left.automatic_for_new(&state), []);
        done(&mut state, left.adopt(&cluster(), NOW).unwrap());
        assert!(!state.is_under_review(), "{epoch}");
        assert_eq!(served(&state), served(&truth), "{epoch}");
        state.check().unwrap();
    }
}

#[test]
fn what_nodes_hold_that_nobody_had_looked_at_is_not_removed() {
    let truth = state(6);
    let silent: AskedProxies = truth.proxies.keys().map(|address| (address.clone(), None)).collect();
    let address = truth.proxies.iter().find(|(_, record)| record.is_free()).unwrap().0.clone();
    let mut state = announced(&truth, &silent, Epoch(0));
    let record = state.proxies.get(&address).unwrap().clone();
    assert!(!record.is_free() && record.is_new && !record.review, "nobody has seen yet that it is idle");
    // It was told that it is in the pool, and only then its nodes are seen.
    let mut found = answer(&truth, &address);
    (found.health.view_epoch, found.health.roles_epoch) = (record.epoch, record.epoch);
    for node in &mut found.health.nodes {
        (node.keys, node.role_epoch) = (Some(3), Some(record.epoch));
    }
    let seen = observed(&AskedProxies::from([(address.clone(), Some(found))]));
    for action in reconcile(&state, &seen, TimeMs(NOW.0 + 10)) {
        if let Action::Apply(command) = action {
            drop(apply(&mut state, command));
        }
    }
    let after = state.proxies.get(&address).unwrap();
    assert!(after.review && !after.dirty && !after.is_free(), "{after:?}");
    let cleans = |action: &Action| matches!(action, Action::Clean { .. });
    assert!(!reconcile(&state, &seen, TimeMs(NOW.0 + 10)).iter().any(cleans));
    done(&mut state, Command::RemoveProxy { proxy: address });
    assert!(state.uncleaned_nodes.is_empty(), "it was never ours");
}

#[test]
fn where_metadata_are_in_doubt_a_proxy_that_is_registered_may_be_theirs() {
    let truth = state(6);
    let mut dump = truth.clone();
    let gone = truth.clusters.get(&cluster()).unwrap().chunks[0].proxies[0].clone();
    // The dump is from before the cluster, and one of its proxies was registered later.
    done(&mut dump, Command::DeleteCluster { cluster: cluster() });
    done(&mut dump, Command::RemoveProxy { proxy: gone.clone() });
    dump.uncleaned_nodes.clear();
    let mut state = restored(&dump);
    let nodes = truth.proxies.get(&gone).unwrap().nodes.to_vec();
    let new = NewProxy { address: gone, nodes, host: None, index: None };
    done(&mut state, Command::AnnounceProxy { new, is_at_work: true, serves_nobody: false });
    settle(&mut state, &answers(&truth));
    assert_eq!(served(&state), served(&truth));
}

/// A pool may be registered before its proxies are started; one that is there and does not answer may serve somebody.
#[test]
fn what_is_not_started_yet_is_free_and_what_does_not_answer_is_not() {
    for (serves_nobody, is_free) in [(true, true), (false, false)] {
        let mut state = State::default();
        for (address, record) in &pool(2).proxies {
            let new =
                NewProxy { address: address.clone(), nodes: record.nodes.to_vec(), host: None, index: None };
            done(&mut state, Command::AnnounceProxy { new, is_at_work: false, serves_nobody });
        }
        let create = Command::CreateCluster {
            cluster: "mine".parse().unwrap(),
            node_number: 4,
            config: BTreeMap::new(),
            now: NOW,
        };
        let made = apply(&mut state, create);
        assert_eq!(made.is_ok(), is_free, "{made:?}");
    }
}
