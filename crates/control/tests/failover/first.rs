//! A cluster made by the broker's API serves, and a client finds everything in it.

use testkit::connection::Connection;

use crate::fixture::{CLUSTER, HEAL_LIMIT, four_of, reply};

#[test]
fn a_new_cluster_serves_every_shard() {
    let cluster = four_of(4);
    let shards = cluster.shards(CLUSTER).unwrap();
    assert_eq!(shards.len(), 4);
    let slots: usize = shards.iter().map(|shard| shard.slots.count()).sum();
    assert_eq!(slots, 16_384);
    for shard in &shards {
        assert_ne!(shard.primary.host, shard.replica.host);
        let [owner, other] = [shard.primary, shard.replica].map(|node| &cluster.hosts[node.host]);
        let key = shard.key("k", 0).unwrap();
        let mut client = owner.proxy.connect().unwrap();
        reply(&mut client, &format!("SET {key} {}", shard.primary.host)).expect_ok().unwrap();
        let read = reply(&mut client, &format!("GET {key}")).text().unwrap();
        assert_eq!(read, shard.primary.host.to_string());
        let mut elsewhere: Connection = other.proxy.connect().unwrap();
        let moved = elsewhere.say(&format!("GET {key}")).unwrap().error().unwrap();
        assert!(
            moved.starts_with("MOVED ") && moved.ends_with(&owner.proxy.address().to_string()),
            "{moved}"
        );
        // The replica has it, too, in its own memory.
        let copy = &cluster.hosts[shard.replica.host].nodes[shard.replica.node];
        cluster
            .wait_for(HEAL_LIMIT, "the replica has it", || {
                let read = copy.say(&format!("GET {key}"))?.text()?;
                anyhow::ensure!(read == shard.primary.host.to_string(), "{read}");
                Ok(())
            })
            .unwrap();
    }
}
