//! Replies whose values differ by nature (INFO, CLIENT LIST, CONFIG GET, slow log entries): their fields and forms
//! are Redis's.

use std::collections::BTreeSet;

use proxy_core::command::CommandTable;
use proxy_core::info::{self, InfoContext, NodeSaves, Nodes, Process};
use proxy_core::settings::Settings;
use proxy_core::slowlog::SlowEntry;
use proxy_core::stats::{Rates, Snapshot, WorkerStats};
use resp::Value;
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};

use crate::dialogue::{Pair, cluster_node, text};

/// Fields of a line of CLIENT LIST.
fn fields(line: &str) -> Vec<(String, String)> {
    let words = line.lines().find(|line| line.contains("laddr=")).unwrap().split(' ');
    words
        .map(|word| word.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn client_line() {
    let mut pair = Pair::start(RedisOptions::default());
    for line in ["client setname me", "select 2", "client no-evict on"] {
        pair.check(&[line]);
    }
    let theirs = fields(&text(&pair.server.say("client info").unwrap()));
    let ours = fields(&String::from_utf8(pair.subject.say("client info")).unwrap());
    let names = |fields: &[(String, String)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let mut expected = names(&theirs);
    expected.extend(["lib-name", "lib-ver"].map(str::to_owned));
    assert_eq!(names(&ours), expected);
    for name in ["id", "addr", "laddr", "name", "flags", "db", "sub", "multi", "cmd", "user", "redir", "resp"]
    {
        let value =
            |fields: &[(String, String)]| fields.iter().find(|(field, _)| field == name).unwrap().1.clone();
        assert_eq!(value(&ours), value(&theirs), "{name}");
    }
}

/// What `text` says, by section; numbered and named fields count as one.
fn field_names(text: &str) -> BTreeSet<(String, String)> {
    let mut section = String::new();
    let mut names = BTreeSet::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            title.clone_into(&mut section);
        } else if let Some((name, _)) = line.split_once(':') {
            let name = name.split("_get").next().unwrap();
            names.insert((section.clone(), name.to_owned()));
        }
    }
    names
}

#[test]
fn info_has_only_fields_of_redis_in_its_sections() {
    let (options, _bus) = cluster_node();
    let redis = RedisServer::start(options).unwrap();
    let mut server = Connection::open(redis.address()).unwrap();
    server.say("get a").unwrap();
    server.say("get").unwrap();
    server.say("set a 1").unwrap();
    let theirs = field_names(&text(&server.say("info everything").unwrap()));

    let settings = Settings::new("127.0.0.1:5299".parse().unwrap());
    let table = CommandTable::builtin();
    let worker = WorkerStats::new();
    let get = worker.command(table.lookup(b"get").unwrap().id);
    get.calls.increment();
    get.record(5);
    worker.count_error(b"-ERR x\r\n");
    let process = Process {
        version: "0",
        os: "",
        id: 1,
        run_id: "",
        started_ms: 0,
        rss_bytes: 1,
        rss_peak_bytes: 1,
        system_cpu_us: 1,
        user_cpu_us: 1,
        blocked_clients: 0,
    };
    let context = InfoContext {
        settings: &settings,
        table: &table,
        cluster: None,
        snapshot: &Snapshot::of([&worker]),
        rates: Rates::default(),
        process,
        nodes: Nodes {
            version: "7.0.15",
            keyspace: "db0:keys=1,expires=0,avg_ttl=0\r\n",
            links_up: true,
            offset: 1,
            saves: NodeSaves::default(),
        },
        now_us: 1,
    };
    let ours = field_names(&info::text(&context, &["everything".to_owned()]));
    let own_sections = ["Undermoon", "Backends"];
    // Redis 7.0 has it only since 7.4; clients of that version look for it.
    let later = [("Stats", "client_output_buffer_limit_disconnections")];
    let unknown: Vec<_> = ours
        .difference(&theirs)
        .filter(|(section, name)| {
            !own_sections.contains(&section.as_str()) && !later.contains(&(section.as_str(), name.as_str()))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn config_names_are_redis_s_or_known_to_be_ours() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let mut server = Connection::open(redis.address()).unwrap();
    let settings = Settings::new("127.0.0.1:5299".parse().unwrap());
    let mut ours = Vec::new();
    for (name, _) in settings.get(b"*") {
        let reply = server.say(&format!("config get {name}")).unwrap();
        if reply.bytes() == b"*0\r\n" {
            ours.push(name);
        }
    }
    assert_eq!(
        ours,
        [
            "address",
            "announce-address",
            "replica-port-offset",
            "admin-address",
            "control-address",
            "workers",
            "backend-conn-num",
            "backend-timeout",
            "memory-max",
            "slowlog-sample-rate",
            "script-keys",
            "active-redirection",
            "max-redirections",
            "default-redirection-address",
            "cluster-nodes-version",
        ]
    );
}

#[test]
fn slow_log_arguments_are_cut_alike() {
    let redis = RedisServer::start(RedisOptions::default().with("slowlog-log-slower-than", "0")).unwrap();
    let mut server = Connection::open(redis.address()).unwrap();
    for (args, bytes) in [(1, 3), (30, 127), (31, 128), (32, 129), (33, 1000)] {
        let argument = "x".repeat(bytes);
        let request: Vec<&[u8]> = std::iter::once("del")
            .chain(std::iter::repeat_n(argument.as_str(), args))
            .map(str::as_bytes)
            .collect();
        server.call(&request).unwrap();
        let reply = server.say("slowlog get 1").unwrap();
        let Value::Array(entries) = reply.value().unwrap() else { panic!("{reply:?}") };
        let Value::Array(entry) = &entries[0] else { panic!("{reply:?}") };
        let Value::Array(shown) = &entry[3] else { panic!("{reply:?}") };
        let ours = SlowEntry::cut_args(request.iter().copied());
        let ours: Vec<Value<'_>> = ours.iter().map(|arg| Value::Bulk(arg)).collect();
        assert_eq!(ours, *shown, "{args} {bytes}");
    }
}
