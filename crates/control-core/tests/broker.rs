//! What a broker's clients meet: the codes of refusals, commits, the JSON of `/api/v3`, and changes in words.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

mod pool;

use std::collections::BTreeMap;

use control_core::{
    ApplyError, Command, HostName, NewProxy, Reply, ReporterId, State, StoreSettings, TimeMs, apply, explain,
    query,
};
use model::{ClusterName, Epoch};
use pool::{address, new_proxy};
use serde_json::json;

/// A pool of five hosts with three proxies each.
fn pool(ordered_proxies: bool) -> State {
    let mut state = State::default();
    let settings = StoreSettings { ordered_proxies, failure_quorum: 2, ..StoreSettings::default() };
    apply(&mut state, Command::Configure(settings)).unwrap();
    for host in 1..=5 {
        for place in 0..3 {
            apply(&mut state, Command::RegisterProxy(new_proxy(host, place))).unwrap();
        }
    }
    state
}

/// A cluster of one chunk gets a second, and half of its slots begin to move there.
fn begin_to_grow(state: &mut State, name: &ClusterName) {
    let (cluster, now) = (|| name.clone(), TimeMs(0));
    for command in [
        Command::CreateCluster { cluster: cluster(), node_number: 4, config: BTreeMap::new(), now },
        Command::AddNodes { cluster: cluster(), node_number: 4, now },
        Command::Expand { cluster: cluster() },
    ] {
        apply(state, command).unwrap();
    }
}

/// The errors that a broker's clients meet, with their codes.
#[test]
fn refusals() {
    let name: ClusterName = "db".parse().unwrap();
    let other: ClusterName = "other".parse().unwrap();
    let now = TimeMs(0);
    let create = |cluster: &ClusterName, node_number| Command::CreateCluster {
        cluster: cluster.clone(),
        node_number,
        config: BTreeMap::new(),
        now,
    };
    let check = |state: &State, command: Command, code: &str, status: u16| {
        let error: ApplyError =
            apply(&mut state.clone(), command.clone()).expect_err(&format!("{command:?}"));
        assert_eq!((error.code(), error.status()), (code, status), "{command:?}: {error}");
    };
    let mut state = pool(false);
    let used = |state: &State| state.clusters[&name].chunks[0].proxies[0].clone();
    check(&state, create(&name, 0), "INVALID_NODE_NUMBER", 400);
    check(&state, create(&name, 6), "INVALID_NODE_NUMBER", 400);
    check(&state, create(&name, 32), "NO_AVAILABLE_RESOURCE", 409);
    check(&state, Command::DeleteCluster { cluster: name.clone() }, "CLUSTER_NOT_FOUND", 404);
    check(&state, Command::RemoveProxy { proxy: address(9, 1) }, "PROXY_NOT_FOUND", 404);
    let one_node = NewProxy { nodes: vec![address(9, 1)], ..new_proxy(9, 0) };
    check(&state, Command::RegisterProxy(one_node), "INVALID_PROXY_ADDRESS", 400);
    let taken = NewProxy { nodes: vec![address(1, 6000), address(9, 1)], ..new_proxy(9, 0) };
    check(&state, Command::RegisterProxy(taken), "INVALID_PROXY_ADDRESS", 400);
    for (proxy, nodes) in [
        // On another host than its proxy, which would never take it.
        (address(9, 7000), [address(8, 6000), address(9, 6001)]),
        // The address of another proxy; and a proxy at the address of another's node.
        (address(1, 7999), [address(1, 7000), address(1, 6990)]),
        (address(1, 6000), [address(1, 6990), address(1, 6991)]),
        (address(9, 7000), [address(9, 6000), address(9, 6000)]),
    ] {
        let new = NewProxy { address: proxy, nodes: nodes.to_vec(), ..new_proxy(9, 0) };
        check(&state, Command::RegisterProxy(new), "INVALID_PROXY_ADDRESS", 400);
    }
    for host in ["", "two\r\nlines", "a b", &"h".repeat(254)] {
        let new = NewProxy { host: Some(HostName(host.to_owned())), ..new_proxy(9, 0) };
        check(&state, Command::RegisterProxy(new), "INVALID_REQUEST", 400);
    }
    assert_eq!(apply(&mut state, Command::RegisterProxy(new_proxy(1, 0))), Ok(Reply::AlreadyExisted));
    apply(&mut state, create(&name, 8)).unwrap();
    check(&state, create(&name, 4), "ALREADY_EXISTED", 409);
    check(&state, Command::RemoveProxy { proxy: used(&state) }, "IN_USE", 409);
    check(&state, Command::Expand { cluster: name.clone() }, "SLOTS_ALREADY_EVEN", 400);
    check(&state, Command::RemoveFreeNodes { cluster: name.clone() }, "FREE_NODE_NOT_FOUND", 404);
    check(
        &state,
        Command::GrowTo { cluster: name.clone(), node_number: 8, now },
        "NODE_NUM_ALREADY_ENOUGH",
        409,
    );
    check(&state, Command::Shrink { cluster: name.clone(), node_number: 8 }, "INVALID_NODE_NUMBER", 400);
    let zip = BTreeMap::from([("compression_strategy".to_owned(), "zip".to_owned())]);
    check(&state, Command::SetConfig { cluster: name.clone(), fields: zip }, "INVALID_CONFIG", 400);
    let unknown = BTreeMap::from([("colour".to_owned(), "blue".to_owned())]);
    check(&state, Command::SetConfig { cluster: name.clone(), fields: unknown }, "INVALID_CONFIG", 400);
    check(&state, Command::RaiseEpoch { epoch: state.global_epoch }, "EPOCH_SMALLER_THAN_CURRENT", 409);
    check(&state, Command::RaiseEpoch { epoch: Epoch(u64::MAX) }, "INVALID_REQUEST", 400);
    check(&state, Command::RecoverEpoch { highest: Epoch(u64::MAX) }, "INVALID_REQUEST", 400);
    let full = State { global_epoch: Epoch(u64::MAX), ..State::default() };
    check(&state, Command::Restore(Box::new(full)), "INVALID_REQUEST", 400);
    let foreign = State { version: "another".to_owned(), ..State::default() };
    check(&state, Command::Restore(Box::new(foreign)), "INVALID_META_VERSION", 409);
    check(&state, Command::Restore(Box::default()), "EPOCH_SMALLER_THAN_CURRENT", 409);
    apply(&mut state, Command::AddNodes { cluster: name.clone(), node_number: 4, now }).unwrap();
    check(&state, Command::Shrink { cluster: name.clone(), node_number: 4 }, "FREE_NODE_FOUND", 409);
    apply(&mut state, Command::Expand { cluster: name.clone() }).unwrap();
    check(&state, Command::Expand { cluster: name.clone() }, "MIGRATION_RUNNING", 409);
    check(&state, Command::AddNodes { cluster: name.clone(), node_number: 4, now }, "MIGRATION_RUNNING", 409);
    let fields = BTreeMap::new();
    check(&state, Command::SetConfig { cluster: name.clone(), fields }, "MIGRATION_RUNNING", 409);
    apply(&mut state, Command::CancelMigrations { cluster: name.clone() }).unwrap();
    apply(&mut state, Command::RemoveFreeNodes { cluster: name.clone() }).unwrap();
    apply(&mut state, Command::Scale { cluster: name.clone(), node_number: 12, now }).unwrap();
    check(
        &state,
        Command::AddNodes { cluster: name.clone(), node_number: 4, now },
        "NODE_NUMBER_CHANGING",
        409,
    );
    let wrong = Command::ContinueScaling { cluster: name.clone(), epoch: Epoch(1) };
    check(&state, wrong, "RETRY", 409);

    let mut state = pool(true);
    let without_index = NewProxy { index: None, ..new_proxy(9, 0) };
    check(&state, Command::RegisterProxy(without_index), "MISSING_SERVER_PROXY_INDEX", 400);
    check(&state, create(&name, 4), "PROXY_RESOURCE_OUT_OF_ORDER", 409);
    for (index, proxy) in state.proxies.values_mut().enumerate() {
        proxy.index = Some(index as u64);
    }
    apply(&mut state, create(&name, 4)).unwrap();
    check(&state, create(&other, 4), "ONE_CLUSTER_ALREADY_EXISTED", 409);
}

/// A late commit of an old attempt fails; a repeated one of the right attempt does nothing.
#[test]
fn commits() {
    let mut state = pool(false);
    let (name, now): (ClusterName, _) = ("db".parse().unwrap(), TimeMs(0));
    let cluster = || name.clone();
    begin_to_grow(&mut state, &name);
    let running = |state: &State, place: usize| {
        let held = &state.clusters[&name];
        let migration = &held.migrations[place];
        Command::CommitMigration {
            cluster: name.clone(),
            ranges: migration.ranges.clone(),
            meta: held.meta(migration).unwrap(),
        }
    };
    let first = running(&state, 0);
    let Command::CommitMigration { meta, .. } = &first else { panic!("a commit") };
    apply(&mut state, Command::RestartMigration { cluster: cluster(), attempt: meta.epoch }).unwrap();
    assert_eq!(apply(&mut state, first).unwrap_err().code(), "MIGRATION_TASK_NOT_FOUND");
    // A failover at either end is a new attempt as well.
    let second = running(&state, 0);
    let proxy = state.clusters[&name].chunks[0].proxies[0].clone();
    apply(&mut state, Command::FailOverProxy { proxy, force: false, decided_after: None, now }).unwrap();
    let Command::CommitMigration { meta: old, .. } = &second else { panic!("a commit") };
    let Command::CommitMigration { meta: new, .. } = running(&state, 0) else { panic!("a commit") };
    assert!(new.source_node != old.source_node && new.epoch > old.epoch, "{old} and {new}");
    assert_eq!(apply(&mut state, second).unwrap_err().code(), "MIGRATION_TASK_NOT_FOUND");
    // What is paused stands still, and whatever ran before is over.
    let third = running(&state, 0);
    let pause = |paused: bool| {
        if paused {
            Command::PauseMigrations { cluster: cluster() }
        } else {
            Command::ResumeMigrations { cluster: cluster() }
        }
    };
    apply(&mut state, pause(true)).unwrap();
    let paused = state.clone();
    assert_eq!(apply(&mut state, third).unwrap_err().code(), "MIGRATION_TASK_NOT_FOUND");
    assert_eq!(apply(&mut state, pause(true)), Ok(Reply::Done));
    assert_eq!(state, paused);
    assert!(state.clusters[&name].migrations.iter().all(|migration| migration.attempt.is_none()));
    apply(&mut state, pause(false)).unwrap();
    assert!(state.clusters[&name].migrations.iter().any(|migration| migration.attempt.is_some()));
    while !state.clusters[&name].migrations.is_empty() {
        let commit = running(&state, 0);
        apply(&mut state, commit.clone()).unwrap();
        let after = state.clone();
        assert_eq!(apply(&mut state, commit), Ok(Reply::Done));
        assert_eq!(state, after, "done once");
    }
    assert_eq!(apply(&mut state, pause(true)).unwrap_err().code(), "JOB_NOT_FOUND");
    let counts: Vec<usize> = state.clusters[&name]
        .chunks
        .iter()
        .flat_map(|chunk| &chunk.shards)
        .map(|s| s.slots.count())
        .collect();
    assert_eq!(counts, [4096; 4]);
}

/// The shapes that `/api/v3` answers, to the letter.
#[test]
fn json_shapes() {
    let mut state = State::default();
    for host in 1..=4 {
        apply(&mut state, Command::RegisterProxy(new_proxy(host, 0))).unwrap();
    }
    let name: ClusterName = "db".parse().unwrap();
    begin_to_grow(&mut state, &name);
    let config = json!({
        "compression_strategy": "disabled",
        "migration_max_migration_time": "10800",
        "migration_max_blocking_time": "10000",
    });
    let migration = json!({
        "epoch": 7,
        "src_proxy_address": "10.0.0.1:7000",
        "src_node_address": "10.0.0.1:6000",
        "dst_proxy_address": "10.0.0.3:7000",
        "dst_node_address": "10.0.0.3:6000",
    });
    let node = |address: &str, proxy: &str, slots: serde_json::Value, role: &str, peer: [&str; 2]| {
        json!({
            "address": address, "proxy_address": proxy, "cluster_name": "db", "slots": slots,
            "repl": {"role": role, "peers": [{"node_address": peer[0], "proxy_address": peer[1]}]},
        })
    };
    let first = node(
        "10.0.0.1:6000",
        "10.0.0.1:7000",
        json!([
            {"range_list": [[4096, 8191]], "tag": {"Migrating": migration}},
            {"range_list": [[0, 4095]], "tag": "None"},
        ]),
        "master",
        ["10.0.0.2:6001", "10.0.0.2:7000"],
    );
    let second =
        node("10.0.0.1:6001", "10.0.0.1:7000", json!([]), "replica", ["10.0.0.2:6000", "10.0.0.2:7000"]);
    let importing = json!([{"range_list": [[4096, 8191]], "tag": {"Importing": migration}}]);
    let fifth = node(
        "10.0.0.3:6000",
        "10.0.0.3:7000",
        importing.clone(),
        "master",
        ["10.0.0.4:6001", "10.0.0.4:7000"],
    );

    let meta = serde_json::to_value(query::cluster_meta(&state, &name)).unwrap();
    assert_eq!(meta["name"], "db");
    assert_eq!(meta["epoch"], state.clusters[&name].epoch.0);
    assert_eq!(meta["config"], config);
    assert_eq!(meta["nodes"].as_array().map(Vec::len), Some(8));
    assert_eq!([&meta["nodes"][0], &meta["nodes"][1], &meta["nodes"][4]], [&first, &second, &fifth]);

    let proxy = serde_json::to_value(query::proxy_meta(&state, &address(1, 7000))).unwrap();
    assert_eq!(proxy["address"], "10.0.0.1:7000");
    assert_eq!(proxy["epoch"], meta["epoch"]);
    assert_eq!(proxy["nodes"], json!([first, second]));
    assert_eq!(proxy["free_nodes"], json!([]));
    assert_eq!(proxy["clusters_config"], json!({"db": config}));
    assert_eq!(proxy["peers"].as_array().map(Vec::len), Some(3));
    let peer = json!({"proxy_address": "10.0.0.3:7000", "cluster_name": "db", "slots": importing});
    assert_eq!(proxy["peers"][1], peer);

    let info = serde_json::to_value(query::cluster_info(&state, &name)).unwrap();
    let expected = json!({"name": "db", "node_number": 8, "node_number_with_slots": 4, "is_migrating": true});
    assert_eq!(info, expected);
    let none: Option<query::ClusterMeta> = query::cluster_meta(&state, &"other".parse().unwrap());
    assert_eq!(serde_json::to_value(none).unwrap(), json!(null));

    apply(&mut state, Command::RegisterProxy(new_proxy(9, 1))).unwrap();
    let free = serde_json::to_value(query::proxy_meta(&state, &address(9, 7001))).unwrap();
    let expected = json!({
        "address": "10.0.0.9:7001", "epoch": state.global_epoch.0, "nodes": [],
        "free_nodes": ["10.0.0.9:6002", "10.0.0.9:6003"], "peers": [], "clusters_config": {},
    });
    assert_eq!(free, expected);
}

/// Reports count once for each reporter, for their time; dealing with the failure clears them.
#[test]
fn failure_reports() {
    let mut state = pool(false);
    let proxy = address(1, 7000);
    let report = |state: &mut State, reporter: &str, now: u64| {
        let (proxy, reporter) = (proxy.clone(), ReporterId(reporter.to_owned()));
        apply(state, Command::ReportFailure { proxy, reporter, now: TimeMs(now) }).unwrap();
    };
    let check = |state: &State, now: u64, expected: bool| {
        let reported = query::reported_proxies(state, TimeMs(now)).contains(&proxy);
        assert_eq!(reported, expected, "at {now}: {:?}", state.failures);
    };
    report(&mut state, "one", 0);
    report(&mut state, "one", 10);
    check(&state, 10, false);
    report(&mut state, "two", 50_000);
    check(&state, 50_000, true);
    check(&state, 60_010, true);
    check(&state, 60_011, false);
    report(&mut state, "one", 70_000);
    check(&state, 70_000, true);
    let fail = Command::FailOverProxy {
        proxy: proxy.clone(),
        force: false,
        decided_after: None,
        now: TimeMs(70_000),
    };
    apply(&mut state, fail).unwrap();
    check(&state, 70_000, false);
    assert_eq!(query::failed_proxies(&state), std::slice::from_ref(&proxy));
    assert_eq!(apply(&mut state, Command::RegisterProxy(new_proxy(1, 0))), Ok(Reply::AlreadyExisted));
    assert!(query::failed_proxies(&state).is_empty());
}

/// What a dry run says.
#[test]
fn changes_in_words() {
    let mut state = pool(false);
    let (name, now): (ClusterName, _) = ("db".parse().unwrap(), TimeMs(0));
    let mut check = |command: Command, expected: &[&str]| {
        let before = state.clone();
        apply(&mut state, command.clone()).unwrap();
        assert_eq!(explain(&before, &state), expected, "{command:?}");
    };
    let cluster = || name.clone();
    let settings = StoreSettings { failure_quorum: 7, ..StoreSettings::default() };
    check(Command::Configure(settings), &["failure_quorum changes from 2 to 7"]);
    check(Command::SetReplicaAddresses(vec!["a:1".to_owned()]), &["copies go to a:1"]);
    check(
        Command::CreateCluster { cluster: cluster(), node_number: 4, config: BTreeMap::new(), now },
        &[
            "cluster db is created with 4 nodes",
            "cluster db: a chunk with slots 0-8191 at 10.0.0.1:6000 behind 10.0.0.1:7000 and slots 8192-16383 at \
             10.0.0.2:6000 behind 10.0.0.2:7000",
        ],
    );
    check(
        Command::AddNodes { cluster: cluster(), node_number: 4, now },
        &["cluster db: added a chunk with no slots at 10.0.0.3:6000 behind 10.0.0.3:7000 and no slots at \
           10.0.0.4:6000 behind 10.0.0.4:7000"],
    );
    check(
        Command::Expand { cluster: cluster() },
        &[
            "cluster db: 4096 slots (4096-8191) are to move from 10.0.0.1:6000 to 10.0.0.3:6000",
            "cluster db: 4096 slots (12288-16383) are to move from 10.0.0.2:6000 to 10.0.0.4:6000",
        ],
    );
    check(
        Command::CancelMigrations { cluster: cluster() },
        &[
            "cluster db: the move of slots 4096-8191 is cancelled, they stay at 10.0.0.1:6000",
            "cluster db: the move of slots 12288-16383 is cancelled, they stay at 10.0.0.2:6000",
        ],
    );
    check(
        Command::FailOverProxy { proxy: address(1, 7000), force: false, decided_after: None, now },
        &[
            "cluster db: 10.0.0.5:7000 takes the place of 10.0.0.1:7000",
            "cluster db: 10.0.0.2:6001 takes over from 10.0.0.1:6000 as a primary",
            "cluster db: 10.0.0.2:6001 is not served before 10.0.0.1:7000 has stopped",
            "cluster db: replica 10.0.0.5:6001 is not in sync",
            "proxy 10.0.0.1:7000 counts as failed",
        ],
    );
    let fields = BTreeMap::from([("compression_strategy".to_owned(), "allow_all".to_owned())]);
    check(
        Command::SetConfig { cluster: cluster(), fields },
        &["cluster db: compression_strategy changes from disabled to allow_all"],
    );
    check(
        Command::DeleteCluster { cluster: cluster() },
        &["cluster db is deleted, 4 proxies go back to the pool"],
    );
}
