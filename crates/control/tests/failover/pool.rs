//! Proxies of the pool: whatever their nodes come back with, no cluster ever reads it.

use anyhow::ensure;
use testkit::managed::{ManagedCluster, ManagedOptions};

use crate::fixture::{CLUSTER, HEAL_LIMIT, reply};

/// How many keys each node is made to hold.
const KEYS: usize = 50;

#[test]
fn a_node_that_comes_back_with_keys_is_emptied_before_a_cluster_gets_it() {
    let mut cluster = ManagedCluster::start(&ManagedOptions::of(2)).unwrap();
    let are_free = |cluster: &ManagedCluster| {
        let state = cluster.state()?;
        ensure!(state.proxies.values().all(|proxy| proxy.is_free() && !proxy.dirty), "{:?}", state.proxies);
        for node in cluster.hosts.iter().flat_map(|host| &host.nodes) {
            ensure!(
                format!("{:?}", node.say("ROLE")?).contains("master"),
                "{} is no primary yet",
                node.name()
            );
            ensure!(node.say("DBSIZE")?.integer()? == 0, "{} has keys", node.name());
        }
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "all are free", || are_free(&cluster)).unwrap();
    for node in cluster.hosts.iter_mut().flat_map(|host| &mut host.nodes) {
        // As if an earlier cluster had left them in its file, and nobody had been able to remove it.
        for key in 0..KEYS {
            node.say(&format!("SET secret:{key} 1")).unwrap().expect_ok().unwrap();
        }
        node.say("SAVE").unwrap().expect_ok().unwrap();
        node.kill();
        node.restart().unwrap();
    }
    cluster.wait_for(HEAL_LIMIT, "all are free and empty again", || are_free(&cluster)).unwrap();
    cluster.create(CLUSTER, 4).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    for host in &cluster.hosts {
        assert_eq!(reply(&mut host.proxy.connect().unwrap(), "DBSIZE").integer().unwrap(), 0);
    }
}
