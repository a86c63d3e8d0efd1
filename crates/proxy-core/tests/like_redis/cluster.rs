//! CLUSTER of one node that has all slots, or some, as a real one describes itself.

use model::{Address, SetCluster};
use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::settings::Settings;
use testkit::redis_server::RedisOptions;

use crate::dialogue::{Pair, cluster_node, text};

/// A node of Redis Cluster whose addresses have the proxy's form, and the proxy with the same slots.
fn pair(options: RedisOptions, slots: &str) -> (Pair, String, String) {
    let options = options.with("cluster-announce-ip", "127.0.0.1").with("cluster-announce-bus-port", "5299");
    let mut pair = Pair::start(options);
    let me: Address = pair.server.stream().peer_addr().unwrap().to_string().parse().unwrap();
    let view = format!("v2 0 NOFLAGS mydb 127.0.0.1:1 {slots}");
    let words: Vec<&[u8]> = view.split(' ').map(str::as_bytes).collect();
    let view = SetCluster::parse(&words).unwrap().view;
    let ours = model::NodeId::hex(&view.cluster, &me).to_string();
    pair.subject.cluster = Some(ClusterReplies::new(&view, None, &me, &Settings::new(me.clone())));
    let id = text(&pair.server.say("cluster myid").unwrap());
    let theirs = id.lines().nth(1).unwrap().to_owned();
    (pair, ours, theirs)
}

/// Says each line to both, with each one's own id for `ID`. Ids have the same length, so replies do.
fn check(slots: &str, prepare: &[&str], dialogue: &[&str]) {
    let (options, _bus) = cluster_node();
    let (mut pair, ours, theirs) = pair(options, slots);
    for line in prepare {
        assert_eq!(text(&pair.server.say(line).unwrap()), "+OK\r\n", "{line}");
    }
    for line in dialogue {
        let expected = text(&pair.server.say(&line.replace("ID", &theirs)).unwrap());
        let found = pair.subject.say(&line.replace("ID", &ours));
        let found = String::from_utf8(found).unwrap().replace(&ours, &theirs);
        if line.starts_with("hello") {
            continue;
        }
        assert_eq!(found, expected, "{line}");
    }
}

const DIALOGUE: &[&str] = &[
    "cluster",
    "cluster nonsense",
    "cluster myid",
    "cluster info",
    "cluster nodes",
    "cluster slots",
    "cluster shards",
    "cluster links",
    "cluster replicas ID",
    "cluster slaves ID",
    "cluster replicas nobody",
    "cluster count-failure-reports ID",
    "cluster count-failure-reports nobody",
    "cluster keyslot",
    "cluster keyslot a",
    "cluster keyslot {a}b",
    "cluster keyslot {}b",
    "cluster countkeysinslot x",
    "cluster countkeysinslot 16384",
    "cluster countkeysinslot -1",
    "cluster getkeysinslot 1 x",
    "cluster getkeysinslot x 1",
    "cluster getkeysinslot 16384 1",
    "cluster getkeysinslot 1 -1",
    "readonly",
    "readwrite",
    "asking",
    "role",
    "hello 3",
    "cluster myid",
    "cluster info",
    "cluster nodes",
    "cluster slots",
    "cluster shards",
    "cluster links",
    "cluster replicas ID",
];

#[test]
fn all_slots() {
    check("1 0-16383", &[], DIALOGUE);
}

#[test]
fn some_slots() {
    let prepare = ["cluster flushslots", "cluster addslotsrange 0 0 5 100 200 300 16383 16383"];
    check("4 0 5-100 200-300 16383", &prepare, DIALOGUE);
}

#[test]
fn no_slots() {
    check("0", &["cluster flushslots"], DIALOGUE);
}
