//! What `ctl` shows, to people and to programs.

use insta::assert_snapshot;
use serde_json::json;

use super::broker::{Broker, undermoon};

/// Three proxies and a cluster of one chunk on two of them.
fn broker() -> Broker {
    let broker = Broker::with_proxies(3);
    broker.ctl(&["cluster", "create", "mydb", "--chunks", "1", "--no-wait"]).good();
    broker
}

#[test]
fn tables() {
    let broker = broker();
    assert_snapshot!(broker.ctl(&["pool", "list"]).good(), @r"
    PROXY           HOST    STATE  CLUSTER  NODES
    127.0.3.1:5299  rack-1  used   mydb     127.0.3.1:6379 127.0.3.1:6380
    127.0.3.2:5299  rack-2  used   mydb     127.0.3.2:6379 127.0.3.2:6380
    127.0.3.3:5299  rack-3  free   -        127.0.3.3:6379 127.0.3.3:6380
    3 in all, 1 free
    ");
    assert_snapshot!(broker.ctl(&["pool", "list", "--free"]).good(), @r"
    PROXY           HOST    STATE  CLUSTER  NODES
    127.0.3.3:5299  rack-3  free   -        127.0.3.3:6379 127.0.3.3:6380
    1 in all, 1 free
    ");
    assert_snapshot!(broker.ctl(&["pool", "list", "--failed"]).good(), @r"
    PROXY  HOST  STATE  CLUSTER  NODES
    0 in all, 0 free
    ");
    assert_snapshot!(broker.ctl(&["cluster", "list"]).good(), @r"
    CLUSTER  STATE    CHUNKS  NODES  IN SYNC  AWAY  MOVING  EPOCH
    mydb     syncing  1       4      0/2      0     0       4
    ");
    assert_snapshot!(broker.ctl(&["cluster", "show", "mydb"]).good(), @r"
    cluster mydb: syncing; 1 chunk, 4 nodes, epoch 4

    SHARD  SLOTS       PRIMARY         HOST    REPLICA         HOST    SYNC  NOTE
    0      0-8191      127.0.3.1:6379  rack-1  127.0.3.2:6380  rack-2  new
    1      8192-16383  127.0.3.2:6379  rack-2  127.0.3.1:6380  rack-1  new

    - shard 0: replica 127.0.3.2:6380 was not yet seen to be in sync
    - shard 1: replica 127.0.3.1:6380 was not yet seen to be in sync
    compression_strategy = disabled
    migration_max_blocking_time = 10000
    migration_max_migration_time = 10800
    ");
    assert_snapshot!(broker.ctl(&["cluster", "config", "mydb"]).good(), @r"
    SETTING                       VALUE
    compression_strategy          disabled
    migration_max_blocking_time   10000
    migration_max_migration_time  10800
    ");
    broker.sync_all("mydb");
    assert_snapshot!(broker.ctl(&["health"]).good(), @r"
    well

    CLUSTER  HEALTH  NODES  SLOTS SERVED  SHARDS NOT WELL  SCALING
    mydb     well    4      16384         0                no

    HOST    PROXIES  FREE  FAILED  PRIMARIES  MAY FAIL
    rack-1  1        0     0       1          yes
    rack-2  1        0     0       1          yes
    rack-3  1        1     0       0          yes
    ");
    assert_snapshot!(broker.ctl(&["cluster", "list"]).good(), @r"
    CLUSTER  STATE  CHUNKS  NODES  IN SYNC  AWAY  MOVING  EPOCH
    mydb     ready  1       4      2/2      0     0       4
    ");
}

#[test]
fn plans_in_words() {
    let broker = broker();
    assert_snapshot!(broker.ctl(&["plan", "delete", "mydb"]).good(), @r"
    This would happen:
    - cluster mydb is deleted, 2 proxies go back to the pool
    Nothing was changed.
    ");
    assert_snapshot!(broker.ctl(&["plan", "balance", "mydb"]).good(), @"Nothing would change.");
    assert_snapshot!(
        broker.ctl(&["plan", "add", "127.0.3.4:5299", "127.0.3.4:6379", "127.0.3.4:6380"]).good(), @r"
    This would happen:
    - proxy 127.0.3.4:5299 on host 127.0.3.4 joins the pool
    Nothing was changed.
    ");
    assert_snapshot!(broker.ctl(&["plan", "remove", "127.0.3.1:5299"]).stdout, @"The change would be refused: proxy 127.0.3.1:5299 is in use");
    assert_snapshot!(broker.ctl(&["plan", "create", "other", "--chunks", "1"]).stdout, @"The change would be refused: 2 proxies are needed and 1 are free");
    assert_snapshot!(broker.ctl(&["plan", "failover", "127.0.3.1:5299"]).good(), @r"
    This would happen:
    - cluster mydb: 127.0.3.3:5299 takes the place of 127.0.3.1:5299
    - cluster mydb: 127.0.3.2:6380 takes over from 127.0.3.1:6379 as a primary
    - cluster mydb: 127.0.3.2:6380 is not served before 127.0.3.1:5299 has stopped
    - cluster mydb: replica 127.0.3.3:6380 is not in sync
    - proxy 127.0.3.1:5299 counts as failed
    - note: afterwards the pool could not make up for the loss of host rack-2 or rack-3
    Nothing was changed.
    ");
    assert_snapshot!(broker.ctl(&["plan", "handover", "mydb", "--shard", "0"]).good(), @r"
    This would happen:
    - cluster mydb: 127.0.3.2:6380 takes over from 127.0.3.1:6379 as a primary
    Nothing was changed.
    ");
    let by_force = broker.ctl(&["plan", "handover", "mydb", "--proxy", "127.0.3.2:5299", "--force"]);
    assert_snapshot!(by_force.good(), @r"
    This would happen:
    - cluster mydb: 127.0.3.1:6380 takes over from 127.0.3.2:6379 as a primary
    - cluster mydb: 127.0.3.1:6380 is not served before 127.0.3.2:5299 has stopped
    Nothing was changed.
    ");
    let beyond = broker.ctl(&["plan", "handover", "mydb", "--shard", "7"]).stdout;
    assert_snapshot!(beyond, @"The change would be refused: there is no shard 7: the cluster has 2, numbered from 0");
    let unknown = broker.ctl(&["plan", "handover", "nobody", "--shard", "0"]).stdout;
    assert_snapshot!(unknown, @"The change would be refused: there is no cluster nobody");
    broker.ctl(&["pool", "add", "127.0.3.4:5299", "127.0.3.4:6379", "127.0.3.4:6380"]).good();
    assert_snapshot!(broker.ctl(&["plan", "scale", "mydb", "--chunks", "2"]).good(), @r"
    This would happen:
    - cluster mydb: added a chunk with no slots at 127.0.3.4:6379 behind 127.0.3.4:5299 and no slots at 127.0.3.3:6379 behind 127.0.3.3:5299
    - cluster mydb: slots will move to the new nodes as soon as their proxies know of it
    - cluster mydb: then 4096 slots (4096-8191) are to move from 127.0.3.1:6379 to 127.0.3.4:6379
    - cluster mydb: then 4096 slots (12288-16383) are to move from 127.0.3.2:6379 to 127.0.3.3:6379
    - why: each chunk is made on the host with most free proxies and the one that it is least paired with, so that the load of a lost host is spread: 127.0.3.4 with rack-3; of 2 free proxies 0 are left
    - why: no plan that gives each of 4 shards 4096 slots moves fewer than 8192
    - note: afterwards the pool could not make up for the loss of host 127.0.3.4 or rack-1 or rack-2 or rack-3
    Nothing was changed.
    ");
    let plan = broker.ctl(&["plan", "remove", "127.0.3.1:5299", "-o", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!((&plan["accepted"], &plan["error"]), (&json!(false), &json!("IN_USE")));
    // Nothing of all this has changed anything.
    assert_eq!(broker.state().clusters.len(), 1);
}

#[test]
fn json_for_programs() {
    let broker = broker();
    let pool = broker.ctl(&["pool", "list", "-o", "json"]).json();
    assert_eq!(
        pool[2],
        json!({"proxy": "127.0.3.3:5299", "host": "rack-3", "state": "free", "cluster": null,
               "nodes": ["127.0.3.3:6379", "127.0.3.3:6380"]})
    );
    let list = broker.ctl(&["cluster", "list", "-o", "json"]).json();
    assert_eq!(
        list,
        json!([{"name": "mydb", "state": "syncing", "chunks": 1, "nodes": 4, "nodes_with_slots": 4, "shards": 2,
                "shards_in_sync": 0, "primaries_away": 0, "slots_moving": 0, "epoch": 4}])
    );
    let health = broker.ctl(&["health", "-o", "json"]).json();
    assert_eq!(
        (&health["level"], &health["clusters"][0]["slots_served"]),
        (&json!("degraded"), &json!(16384))
    );
    let show = broker.ctl(&["cluster", "show", "mydb", "-o", "json"]).json();
    assert_eq!((&show["name"], &show["moves"]), (&json!("mydb"), &json!([])));
    let shard = &show["shard_list"][1];
    assert_eq!((&shard["slots"], &shard["slot_count"]), (&json!("8192-16383"), &json!(8192)));
    assert_eq!((&shard["sync"], &shard["fence"]), (&json!("new"), &json!(null)));
    assert_ne!(shard["primary"]["host"], shard["replica"]["host"]);
}

#[test]
fn events() {
    let broker = broker();
    let all = broker.ctl(&["events", "-o", "json"]).json();
    let kinds: Vec<&str> =
        all.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "RegisterProxy").count(), 3, "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"CreateCluster"));
    let last = broker.ctl(&["events", "-n", "2", "-o", "json"]).json();
    assert_eq!(last.as_array().unwrap()[..], all.as_array().unwrap()[kinds.len() - 2..]);
    let number = all[0]["number"].as_u64().unwrap().to_string();
    let later = broker.ctl(&["events", "--after", &number, "-o", "json"]).json();
    assert_eq!(later.as_array().unwrap().len(), kinds.len() - 1);
    let text = broker.ctl(&["events", "--cluster", "mydb"]).good();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("cluster mydb is created with 4 nodes"), "{text}");
}

#[test]
fn nothing_there_yet() {
    let broker = Broker::start(&[]);
    let list = broker.ctl(&["cluster", "list"]).good();
    assert!(list.starts_with("CLUSTER") && list.lines().count() == 1, "{list}");
    assert_eq!(broker.ctl(&["events", "--cluster", "mydb", "-o", "json"]).good(), "[]\n");
    assert!(broker.ctl(&["pool", "list"]).good().ends_with("0 in all, 0 free\n"));
}

/// Whoever reads only the first lines ends `ctl` without an error.
#[test]
fn the_reader_may_go_away() {
    let broker = broker();
    let line = format!(
        "\"$0\" ctl --broker {} cluster list --watch -o json | head -n 1; echo \"${{PIPESTATUS[0]}}\"",
        broker.address
    );
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &line, env!("CARGO_BIN_EXE_undermoon")]);
    let reading = std::thread::spawn(move || shell.output().unwrap());
    // Only a second document meets the closed pipe.
    let started = std::time::Instant::now();
    let mut is_synced = false;
    while !reading.is_finished() {
        assert!(started.elapsed() < super::broker::PATIENCE, "it goes on for nobody");
        let state = if is_synced { "10" } else { "20" };
        let change = format!("migration_max_blocking_time={state}");
        broker.ctl(&["cluster", "config", "mydb", &change]).good();
        is_synced = !is_synced;
    }
    let output = reading.join().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.ends_with("]\n0\n"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn help_and_completions() {
    let help = super::broker::ended(undermoon().args(["ctl", "--help"])).good();
    for wanted in ["pool", "cluster", "events", "plan", "dump", "restore", "completions", "Exit codes:", "75"]
    {
        assert!(help.contains(wanted), "no {wanted} in {help}");
    }
    let script = super::broker::ended(undermoon().args(["ctl", "completions", "bash"])).good();
    assert!(script.contains("undermoon__"), "{}", &script[..200.min(script.len())]);
}

/// The names below a heading of a help text, up to the next empty line.
fn listed(arguments: &[&str], heading: &str) -> Vec<String> {
    let help = super::broker::ended(undermoon().args(arguments).arg("--help")).good();
    let lines = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
    // Only the lines with a name begin with two blanks and not more.
    let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names = named.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(ToOwned::to_owned).collect()
}

#[test]
fn every_command_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ctl.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for (arguments, before) in [
        (&["ctl"][..], "`"),
        (&["ctl", "pool"], "`pool "),
        (&["ctl", "cluster"], "`cluster "),
        (&["ctl", "plan"], "`"),
    ] {
        for name in listed(arguments, "Commands:") {
            assert!(document.contains(&format!("{before}{name}")), "docs/ctl.md has no {arguments:?} {name}");
            count += 1;
        }
    }
    assert!(count >= 25, "too few commands were found: {count}");
}
