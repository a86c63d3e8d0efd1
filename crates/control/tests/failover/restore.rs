//! Metadata from before a failover, restored or put back as a file: what is served stays served, and no key is lost.

use std::path::{Path, PathBuf};

use api::v4::{ReviewDecision, ReviewedBy};
use testkit::managed::ManagedCluster;
use testkit::managed::shard::ShardPlace;
use testkit::wait::{Deadline, retry_until};

use crate::fixture::{CLUSTER, HEAL_LIMIT, reply, shard_on, staying, wait_replicated};

/// How many keys each shard has before and after the failover.
const KEYS: usize = 200;
/// The file of the embedded store, where nothing else is configured.
const STORE_FILE: &str = "undermoon-metadata.redb";

/// A cluster with keys in each shard, and one host in the pool.
fn filled(policy: &str) -> ManagedCluster {
    let mut options = staying(5);
    options.broker_settings.push(("review_policy".to_owned(), policy.to_owned()));
    let cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    fill(&cluster, "before");
    cluster
}

fn fill(cluster: &ManagedCluster, prefix: &str) {
    for shard in cluster.shards(CLUSTER).unwrap() {
        let mut client = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
        for number in 0..KEYS {
            let key = shard.key(prefix, number).unwrap();
            reply(&mut client, &format!("SET {key} {number}")).expect_ok().unwrap();
        }
        wait_replicated(&mut client);
    }
}

/// That every key is there, at its primary and at its replica.
fn check_filled(cluster: &ManagedCluster, prefix: &str) {
    for shard in cluster.shards(CLUSTER).unwrap() {
        let mut client = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
        let mut lost = 0;
        for number in 0..KEYS {
            let key = shard.key(prefix, number).unwrap();
            let read = reply(&mut client, &format!("GET {key}")).text().ok();
            lost += usize::from(read != Some(number.to_string()));
        }
        assert_eq!(lost, 0, "keys of {KEYS} lost in {shard:?}");
    }
}

/// A host is lost, the one of the pool takes its place, and the lost one comes back and is emptied.
fn lose_a_host(cluster: &mut ManagedCluster) {
    let lost = shard_on(cluster, 0);
    cluster.hosts[lost.primary.host].kill();
    let is_replaced = |cluster: &ManagedCluster| {
        let shards = cluster.shards(CLUSTER)?;
        let is_lost = |shard: &ShardPlace| shard.primary.host == 0 || shard.replica.host == 0;
        anyhow::ensure!(!shards.iter().any(is_lost), "{shards:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the host is replaced", || is_replaced(cluster)).unwrap();
    cluster.hosts[0].restart().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    let free = || {
        let state = cluster.state()?;
        let free = state.proxies.values().filter(|proxy| proxy.is_free() && !proxy.dirty).count();
        anyhow::ensure!(free == 1, "{free} proxies are free and empty");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the lost host is back and empty", free).unwrap();
    fill(cluster, "after");
}

fn store_file(cluster: &ManagedCluster) -> PathBuf {
    cluster.brokers[0].directory().join(STORE_FILE)
}

/// Starts the broker with another file in the place of its own, or with none.
fn restart_with(cluster: &mut ManagedCluster, file: Option<&Path>) {
    let own = store_file(cluster);
    cluster.brokers[0].kill();
    std::fs::remove_file(&own).unwrap();
    if let Some(file) = file {
        std::fs::copy(file, &own).unwrap();
    }
    cluster.brokers[0].restart().unwrap();
    cluster.brokers[0].wait_listening().unwrap();
}

fn restore(cluster: &ManagedCluster, dump: &serde_json::Value) {
    // The first call may go over a connection to the broker that was killed.
    let restore = || Ok(cluster.block_on(cluster.client().restore(dump))?);
    retry_until(Deadline::within(HEAL_LIMIT), "the dump is restored", restore).unwrap();
}

fn wait_trusted(cluster: &ManagedCluster) {
    let is_over = || {
        anyhow::ensure!(!cluster.state()?.is_under_review(), "under review");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the review is over", is_over).unwrap();
}

#[test]
fn a_dump_from_before_a_failover_loses_nothing() {
    let mut cluster = filled("adopt");
    let dump = cluster.block_on(cluster.client().metadata::<serde_json::Value>()).unwrap();
    lose_a_host(&mut cluster);
    let served = cluster.shards(CLUSTER).unwrap();
    restart_with(&mut cluster, None);
    restore(&cluster, &dump);
    // As it was once written down: it makes the metadata newer than whatever the proxies have.
    cluster.block_on(cluster.client().recover_epoch()).unwrap();
    wait_trusted(&cluster);
    cluster.wait_whole(CLUSTER).unwrap();
    check_filled(&cluster, "before");
    check_filled(&cluster, "after");
    assert_eq!(cluster.shards(CLUSTER).unwrap(), served);
    // Everything goes on as ever.
    lose_a_host_again(&mut cluster);
    check_filled(&cluster, "after");
}

/// After the review the control plane fails over as before it.
fn lose_a_host_again(cluster: &mut ManagedCluster) {
    let lost = shard_on(cluster, 1);
    cluster.hosts[lost.primary.host].kill();
    let moved = || {
        let shards = cluster.shards(CLUSTER)?;
        anyhow::ensure!(shards.iter().all(|shard| shard.primary.host != 1), "{shards:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "its replica has taken over", moved).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
}

#[test]
fn an_older_file_in_the_brokers_place_is_noticed() {
    let mut cluster = filled("adopt");
    let copy = cluster.directory().join("copy.redb");
    cluster.brokers[0].kill();
    std::fs::copy(store_file(&cluster), &copy).unwrap();
    cluster.brokers[0].restart().unwrap();
    cluster.brokers[0].wait_listening().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    lose_a_host(&mut cluster);
    let served = cluster.shards(CLUSTER).unwrap();
    restart_with(&mut cluster, Some(&copy));
    let agrees = || {
        let now = cluster.shards(CLUSTER)?;
        anyhow::ensure!(now == served, "{now:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the metadata are what is served", agrees).unwrap();
    wait_trusted(&cluster);
    cluster.wait_whole(CLUSTER).unwrap();
    check_filled(&cluster, "before");
    check_filled(&cluster, "after");
}

#[test]
fn where_an_operator_decides_nothing_happens_before() {
    let mut cluster = filled("ask");
    let dump = cluster.block_on(cluster.client().metadata::<serde_json::Value>()).unwrap();
    lose_a_host(&mut cluster);
    let served = cluster.shards(CLUSTER).unwrap();
    restart_with(&mut cluster, None);
    restore(&cluster, &dump);
    let found = cluster.block_on(cluster.client().review()).unwrap();
    assert!(found.is_under_review && !found.is_automatic, "{found:?}");
    let review = &found.clusters[0];
    assert_eq!(review.obstacles, Vec::<String>::new());
    let by_metadata = review.by_metadata.clone().unwrap();
    assert!(by_metadata.iter().any(|word| word.contains("(0 keys")), "{by_metadata:?}");
    let by_proxies = review.by_proxies.clone().unwrap();
    assert!(by_proxies.iter().any(|word| word.contains("takes over from")), "{by_proxies:?}");
    // What would be done by the old metadata would have been done by now: the coordinator has told what it sees since.
    let overview = || {
        let overview = cluster.block_on(cluster.client().overview())?;
        let told = overview.problems.iter().any(|problem| problem.contains("under review"));
        anyhow::ensure!(told, "{:?}", overview.problems);
        Ok(())
    };
    retry_until(Deadline::within(HEAL_LIMIT), "it is shown", overview).unwrap();
    let refused = cluster.block_on(cluster.client().balance(&CLUSTER.parse().unwrap())).unwrap_err();
    assert_eq!(refused.code(), Some("UNDER_REVIEW"));
    let decision = ReviewDecision {
        cluster: Some(CLUSTER.parse().unwrap()),
        by: Some(ReviewedBy::Proxies),
        ..ReviewDecision::default()
    };
    cluster.block_on(cluster.client().decide_review(&decision)).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    assert_eq!(cluster.shards(CLUSTER).unwrap(), served);
    check_filled(&cluster, "before");
    check_filled(&cluster, "after");
    let left = cluster.block_on(cluster.client().review()).unwrap();
    assert_eq!((left.clusters.len(), left.proxies.len()), (0, 1), "the proxy of the pool waits, too");
    let decision = ReviewDecision { proxy: Some(left.proxies[0].proxy.clone()), ..ReviewDecision::default() };
    cluster.block_on(cluster.client().decide_review(&decision)).unwrap();
    wait_trusted(&cluster);
}

#[test]
fn proxies_that_are_registered_in_an_empty_store_serve_on() {
    let mut cluster = filled("adopt");
    let served = cluster.shards(CLUSTER).unwrap();
    restart_with(&mut cluster, None);
    // The last of them is that of the pool: the epochs of the new store are above those of the old one by then.
    let register = || {
        (0..5).rev().try_for_each(|number| cluster.register(number))?;
        Ok(())
    };
    retry_until(Deadline::within(HEAL_LIMIT), "all are registered", register).unwrap();
    let waits = || {
        let review = cluster.block_on(cluster.client().review())?;
        anyhow::ensure!(review.clusters.len() == 1 && review.proxies.len() == 4, "{review:?}");
        Ok(())
    };
    retry_until(Deadline::within(HEAL_LIMIT), "an operator is asked", waits).unwrap();
    let settled = || {
        let state = cluster.state()?;
        let free = state.proxies.values().filter(|proxy| proxy.is_free() && !proxy.dirty).count();
        anyhow::ensure!(free == 1, "{free} are free and empty");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "the proxy of the pool is free", settled).unwrap();
    let refused = cluster.create("other", 8).unwrap_err();
    assert!(format!("{refused:?}").contains("NO_AVAILABLE_RESOURCE"), "{refused:?}");
    // Every shard has been served all the while by its own view, which nobody has replaced.
    for shard in &served {
        let mut client = cluster.hosts[shard.primary.host].proxy.connect().unwrap();
        let key = shard.key("before", 0).unwrap();
        assert_eq!(reply(&mut client, &format!("GET {key}")).text().unwrap(), "0");
    }
    let decision = ReviewDecision {
        cluster: Some(CLUSTER.parse().unwrap()),
        by: Some(ReviewedBy::Proxies),
        ..ReviewDecision::default()
    };
    cluster.block_on(cluster.client().decide_review(&decision)).unwrap();
    wait_trusted(&cluster);
    cluster.wait_whole(CLUSTER).unwrap();
    assert_eq!(cluster.shards(CLUSTER).unwrap(), served);
    check_filled(&cluster, "before");
}
