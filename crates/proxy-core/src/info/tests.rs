//! INFO as clients read it.

use std::collections::HashMap;

use model::SetCluster;

use super::*;
use crate::cluster_replies::ClusterReplies;
use crate::command::CommandTable;
use crate::face::Face;
use crate::settings::Settings;
use crate::stats::{Rates, Snapshot, WorkerStats};

/// `field:value` lines, as clients split them.
fn parse(text: &str) -> HashMap<&str, &str> {
    let fields = text.split("\r\n").filter(|line| !line.starts_with('#') && !line.is_empty());
    fields.map(|line| line.split_once(':').unwrap()).collect()
}

/// The text for some use of the proxy, with these sections.
fn info(sections: &[&str]) -> String {
    info_at(Face::Primary, sections)
}

/// As [`info`], at this face.
fn info_at(face: Face, sections: &[&str]) -> String {
    let mut settings = Settings::new("127.0.0.1:5299".parse().unwrap());
    settings.maxclients = 77;
    settings.replica_port_offset = std::num::NonZeroU16::new(400);
    let view = "v2 7 NOFLAGS mydb 127.0.0.1:6379 1 0-8191 127.0.0.1:6380 REPLICA 1 8192-16000 \
                PEER 127.0.0.1:7000 1 8192-16000 127.0.0.1:7000 REPLICA 1 0-8191";
    let words: Vec<&[u8]> = view.split(' ').map(str::as_bytes).collect();
    let view = SetCluster::parse(&words).unwrap().view;
    let cluster = ClusterReplies::new(&view, None, &settings.address, &settings);
    let table = CommandTable::builtin();
    let worker = WorkerStats::new();
    worker.sessions.add(3);
    worker.requests.add(1000);
    let get = worker.command(table.lookup(b"get").unwrap().id);
    get.calls.add(1000);
    get.failed.add(2);
    get.record(10);
    get.record(30);
    worker.count_error(b"-MOVED 1 127.0.0.1:1\r\n");
    let backend = worker.add_backend("127.0.0.1:6379".parse().unwrap(), 2);
    backend.requests.add(5);
    let snapshot = Snapshot::of([&worker]);
    let process = Process {
        version: "0.1.0",
        os: "Linux",
        id: 42,
        run_id: "0123456789012345678901234567890123456789",
        started_ms: 1_000_000,
        rss_bytes: 3 * 1024 * 1024,
        rss_peak_bytes: 1500,
        system_cpu_us: 1_000_005,
        user_cpu_us: 2,
        blocked_clients: 0,
    };
    let context = InfoContext {
        settings: &settings,
        table: &table,
        cluster: Some(cluster.at(face)),
        snapshot: &snapshot,
        rates: Rates { ops_per_s: 50, bytes_in_per_s: 2048, bytes_out_per_s: 0 },
        process,
        nodes: Nodes {
            version: "7.0.15",
            keyspace: "db0:keys=3,expires=0,avg_ttl=0\r\n",
            links_up: true,
            offset: 4711,
            saves: NodeSaves::default(),
        },
        now_us: 1_090_000_000,
    };
    let sections: Vec<String> = sections.iter().map(|section| (*section).to_owned()).collect();
    text(&context, &sections)
}

#[test]
fn fields() {
    let everything = info(&["everything"]);
    let fields = parse(&everything);
    for (field, expected) in [
        ("redis_version", "7.0.15"),
        ("redis_mode", "cluster"),
        ("cluster_enabled", "1"),
        ("tcp_port", "5299"),
        ("process_id", "42"),
        ("uptime_in_seconds", "90"),
        ("connected_clients", "3"),
        ("maxclients", "77"),
        ("used_memory", "3145728"),
        ("used_memory_human", "3.00M"),
        ("used_memory_peak_human", "1.46K"),
        ("loading", "0"),
        ("total_commands_processed", "1000"),
        ("instantaneous_ops_per_sec", "50"),
        ("instantaneous_input_kbps", "2.00"),
        ("used_cpu_sys", "1.000005"),
        ("role", "master"),
        ("connected_slaves", "1"),
        ("slave0", "ip=127.0.0.1,port=7400,state=online,offset=4711,lag=0"),
        ("cmdstat_get", "calls=1000,usec=20000,usec_per_call=20.00,rejected_calls=0,failed_calls=2"),
        ("latency_percentiles_usec_get", "p50=11.000,p99=31.000,p99.9=31.000"),
        ("errorstat_MOVED", "count=1"),
        ("db0", "keys=3,expires=0,avg_ttl=0"),
        ("undermoon_version", "0.1.0"),
        ("cluster_complete", "0"),
    ] {
        assert_eq!(fields.get(field), Some(&expected), "{field}");
    }
    assert!(everything.contains("backend_127.0.0.1:6379/2:connections=1,connected=0,requests=5,"));
}

/// Lettuce reads nothing from a replica whose offset is 0.
#[test]
fn each_face_tells_how_far_its_nodes_are() {
    for (face, role, expected) in [
        (Face::Primary, "master", &["master_repl_offset"][..]),
        (Face::Replica, "slave", &["slave_repl_offset", "slave_read_repl_offset", "master_repl_offset"]),
    ] {
        let text = info_at(face, &["replication"]);
        let fields = parse(&text);
        assert_eq!(fields.get("role"), Some(&role));
        for field in expected {
            assert_eq!(fields.get(field), Some(&"4711"), "{field} at the {role}");
        }
    }
}

#[test]
fn sections_asked_for() {
    for (asked, titles) in [
        (
            &[][..],
            "Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace Undermoon",
        ),
        (&["cluster"], "Cluster"),
        (&["keyspace", "server"], "Server Keyspace"),
        (&["nonsense"], ""),
        (
            &["default", "commandstats"],
            "Server Clients Memory Persistence Stats Replication CPU Modules \
             Commandstats Errorstats Cluster Keyspace Undermoon",
        ),
        (
            &["all"],
            "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats \
             Latencystats Cluster Keyspace Undermoon Backends",
        ),
    ] {
        let text = info(asked);
        let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        assert_eq!(found.join(" "), titles);
        assert!(text.is_empty() || text.ends_with("\r\n"));
    }
}

#[test]
fn resetstat_counts_from_zero() {
    let worker = WorkerStats::new();
    let table = CommandTable::builtin();
    let get = worker.command(table.lookup(b"get").unwrap().id);
    worker.sessions.add(2);
    worker.requests.add(5);
    get.calls.add(5);
    let baseline = Snapshot::of([&worker]);
    worker.requests.add(1);
    let rest = Snapshot::of([&worker]).since(&baseline);
    assert_eq!((rest.totals.requests, rest.totals.sessions), (1, 2));
    assert!(rest.commands.is_empty(), "a command that was not used since has no line");
}
