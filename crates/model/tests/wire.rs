//! What UMCTL SETCLUSTER and SETREPL accept, and what they say about what they do not.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{MetaFlags, SetCluster, SetRepl};

fn cluster(text: &str) -> Result<SetCluster, String> {
    let args: Vec<&[u8]> = text.split_whitespace().map(str::as_bytes).collect();
    SetCluster::parse(&args).map_err(|error| error.to_string())
}

fn repl(text: &str) -> Result<SetRepl, String> {
    let args: Vec<&[u8]> = text.split_whitespace().map(str::as_bytes).collect();
    SetRepl::parse(&args).map_err(|error| error.to_string())
}

fn packed(json: &[u8]) -> String {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(json).unwrap();
    STANDARD.encode(gzip.finish().unwrap())
}

const DEFAULTS: &str = "CONFIG compression_strategy disabled migration_max_migration_time 10800 \
                        migration_max_blocking_time 10000";

#[test]
fn set_cluster_accepted() {
    // What is read is shown by writing it again.
    let check = |text: &str, expected: &str| {
        let written = cluster(text).map(|accepted| accepted.to_args(false).join(" "));
        let expected = format!("{expected} {DEFAULTS}");
        assert_eq!(written, Ok(expected), "{text}");
    };
    // The reference's first session.
    check(
        "v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383",
        "v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383",
    );
    check("V2 0 noflags x", "v2 0 NOFLAGS x");
    check("v2 7 force x a:1 0 peer", "v2 7 FORCE x a:1 0");
    check("v2 7 FORCE x PEER a:1 2 5 0-3", "v2 7 FORCE x PEER a:1 2 0-3 5-5");
    check("v2 7 FORCE x a:1 1 0-3 a:1 1 4-5", "v2 7 FORCE x a:1 1 0-5");
    check("v2 7 FORCE x a:1 1 0-3 a:1 replica 1 4-5", "v2 7 FORCE x a:1 1 0-3 a:1 REPLICA 1 4-5");
    check(
        "v2 7 FORCE x a:1 migrating 1 0-3 2 p:1 a:1 p:2 b:1 PEER p:2 Importing 1 0-3 2 p:1 a:1 p:2 b:1",
        "v2 7 FORCE x a:1 MIGRATING 1 0-3 2 p:1 a:1 p:2 b:1 PEER p:2 IMPORTING 1 0-3 2 p:1 a:1 p:2 b:1",
    );
    // Slots may move between the two nodes of one peer, and one of them may follow another.
    check(
        "v2 7 FORCE x PEER p:1 MIGRATING 1 0-3 2 p:1 a:1 p:1 b:1 p:1 IMPORTING 1 0-3 2 p:1 a:1 p:1 b:1 p:1 REPLICA 1 0-9",
        "v2 7 FORCE x PEER p:1 MIGRATING 1 0-3 2 p:1 a:1 p:1 b:1 p:1 IMPORTING 1 0-3 2 p:1 a:1 p:1 b:1 p:1 REPLICA 1 0-9",
    );
}

#[test]
fn set_cluster_refused() {
    let check = |text: &str, expected: &str| assert_eq!(cluster(text).unwrap_err(), expected, "{text}");
    check("", "argument 1: the version 'v2' is missing");
    check("v1 1 NOFLAGS x", "argument 1: expected the version 'v2', got 'v1'");
    check("v2", "argument 2: an epoch is missing");
    check("v2 -1 NOFLAGS x", "argument 2: expected an epoch, got '-1'");
    check(
        "v2 1 FAST x",
        "argument 3: expected NOFLAGS, or FORCE, COMPRESS and LEASED joined by commas, got 'FAST'",
    );
    check(
        "v2 1 FORCE,NOFLAGS x",
        "argument 3: expected NOFLAGS, or FORCE, COMPRESS and LEASED joined by commas, got 'FORCE,NOFLAGS'",
    );
    check(
        "v2 1 NOFLAGS a.b",
        "argument 4: expected a cluster name of 1 to 30 of A-Z, a-z, 0-9, '@', '_' and '-', got 'a.b'",
    );
    check("v2 1 NOFLAGS x a 1 0-1", "argument 5: expected a node's address, PEER or CONFIG, got 'a'");
    check("v2 1 NOFLAGS x PEER PEER", "argument 6: expected a proxy's address or CONFIG, got 'PEER'");
    check(
        "v2 1 NOFLAGS x a:1",
        "argument 6: MIGRATING, IMPORTING, REPLICA or a count of slot ranges is missing",
    );
    check(
        "v2 1 NOFLAGS x a:1 many",
        "argument 6: expected MIGRATING, IMPORTING, REPLICA or a count of slot ranges, got 'many'",
    );
    check("v2 1 NOFLAGS x a:1 REPLICA 16385", "argument 7: expected a count of slot ranges, got '16385'");
    check(
        "v2 1 NOFLAGS x a:1 2 0-1 PEER",
        "argument 8: expected a slot range 'a-b' with 0 <= a <= b <= 16383, got 'PEER'",
    );
    check(
        "v2 1 NOFLAGS x a:1 1 0-16384",
        "argument 7: expected a slot range 'a-b' with 0 <= a <= b <= 16383, got '0-16384'",
    );
    check("v2 1 NOFLAGS x a:1 1 0-1 2-3", "argument 8: expected a node's address, PEER or CONFIG, got '2-3'");
    check("v2 1 NOFLAGS x a:1 2 0-5 5-9", "argument 6: slot 5 is given twice to a:1");
    check("v2 1 NOFLAGS x a:1 1 0-5 a:1 1 5", "argument 8: slot 5 is given twice to a:1");
    check("v2 1 NOFLAGS x a:1 1 0-5 a:1 REPLICA 1 3-5", "argument 8: slot 3 is given twice to a:1");
    check("v2 1 NOFLAGS x PEER a:1 1 0-5 a:1 1 5", "argument 9: slot 5 is given twice to a:1");
    check("v2 1 NOFLAGS x a:1 1 0-5 b:1 1 5", "argument 8: slot 5 has two owners, a:1 and b:1");
    check("v2 1 NOFLAGS x a:1 1 0-5 PEER b:1 1 2-2", "argument 9: slot 2 has two owners, a:1 and b:1");
    check(
        "v2 1 NOFLAGS x a:1 MIGRATING 1 0-5 1 p:1 a:1 p:2 b:1 PEER b:1 1 0",
        "argument 15: slot 0 has two owners, a:1 and b:1",
    );
    check("v2 1 NOFLAGS x a:1 REPLICA 0", "argument 5: a:1 has a tag without slots");
    check("v2 1 NOFLAGS x a:1 MIGRATING 1 0-5 1 p:1", "argument 11: the source node's address is missing");
    check("v2 1 NOFLAGS x CONFIG a", "argument 7: a setting's value is missing");
    check(
        "v2 1 NOFLAGS x CONFIG compression_strategy zip",
        "argument 7: compression_strategy must be disabled, set_get_only or allow_all",
    );
}

#[test]
fn unknown_settings_are_reported_and_the_rest_applied() {
    let accepted =
        cluster("v2 1 NOFLAGS x a:1 1 0 CONFIG colour blue migration_max_blocking_time 5 size 1").unwrap();
    assert_eq!(accepted.ignored_config, ["colour", "size"]);
    assert_eq!(accepted.view.config.max_blocking_time_ms, 5);
    let json = br#"{"cluster":"x","local":[],"peers":[],"config":{"colour":"blue"}}"#;
    let accepted = cluster(&format!("v2 1 COMPRESS {}", packed(json))).unwrap();
    assert_eq!(accepted.ignored_config, ["colour"]);
}

#[test]
fn long_and_binary_arguments_are_quoted_safely() {
    let long = "x".repeat(100);
    let error = SetCluster::parse(&[b"v2", long.as_bytes()]).unwrap_err().to_string();
    assert_eq!(error, format!("argument 2: expected an epoch, got '{}…'", &long[..48]));
    let error = SetCluster::parse(&[b"v2\r\n\xff"]).unwrap_err().to_string();
    assert_eq!(error, r"argument 1: expected the version 'v2', got 'v2\r\n\xff'");
}

#[test]
fn compressed_form() {
    let check = |payload: &str, expected: &str| {
        let seen = cluster(&format!("v2 1 FORCE,COMPRESS {payload}"));
        match seen {
            Ok(accepted) => {
                assert_eq!(accepted.flags, MetaFlags { force: true, compress: true, leased: false });
                assert_eq!(accepted.to_args(false).join(" "), format!("{expected} {DEFAULTS}"), "{payload}");
            }
            Err(error) => assert!(error.starts_with(expected), "{payload}: {error}"),
        }
    };
    check("", "argument 4: a compressed payload is missing");
    check("###", "compressed payload: not base64: ");
    check("AAAA", "compressed payload: not gzip: ");
    check(
        &packed(br#"{"cluster":"x","local":[{"ad\ress":"a:2"}]}"#),
        "compressed payload: not the JSON of this command: unknown field `ad?ess`",
    );
    check(&packed(b"{}"), "compressed payload: not the JSON of this command: missing field `cluster`");
    check(&format!("{} more", packed(b"{}")), "argument 5: expected nothing more, got 'more'");
    let twice = STANDARD.encode([STANDARD.decode(packed(b"{}")).unwrap(), b"more".to_vec()].concat());
    check(&twice, "compressed payload: something follows the gzip stream");
    // 40 KB that unpack to 40 MB.
    check(&packed(&vec![b' '; 40_000_000]), "compressed payload: unpacks to more than 16777216 bytes");
    let json = |slots: &str, more: &str| {
        let local = format!(r#"[{{"address":"a:1","slots":{slots}}}]"#);
        packed(format!(r#"{{"cluster":"x","local":{local},"peers":[],"config":{{}}{more}}}"#).as_bytes())
    };
    check(&json(r#"[{"range_list":[[5,9],[0,5]],"tag":"None"}]"#, ""), "v2 1 FORCE x a:1 1 0-9");
    check(&json("[]", ""), "v2 1 FORCE x a:1 0");
    check(
        &json("[]", r#","extra":1"#),
        "compressed payload: not the JSON of this command: unknown field `extra`",
    );
    check(&json(r#"[{"range_list":[[9,5]],"tag":"None"}]"#, ""), "compressed payload: not the JSON");
    check(&json(r#"[{"range_list":[[0,16384]],"tag":"None"}]"#, ""), "compressed payload: not the JSON");
    let both = r#"[{"range_list":[[1,9]],"tag":"None"},{"range_list":[[0,1]],"tag":"Replica"}]"#;
    check(&json(both, ""), "compressed payload: slot 1 is given twice to a:1");
}

#[test]
fn set_repl_forms() {
    let check = |text: &str, expected: Result<&str, &str>| {
        let written = repl(text).map(|accepted| accepted.to_args(false).join(" "));
        assert_eq!(written.as_deref().map_err(String::as_str), expected, "{text}");
    };
    check("5 NOFLAGS", Ok("5 NOFLAGS"));
    check("5 force MASTER db a:1 0", Ok("5 FORCE master db a:1 0"));
    check(
        "5 NOFLAGS master db a:1 1 b:1 p:1 replica db a:2 1 b:2 p:1",
        Ok("5 NOFLAGS master db a:1 1 b:1 p:1 replica db a:2 1 b:2 p:1"),
    );
    check("", Err("argument 1: an epoch is missing"));
    check("5 NOFLAGS slave db a:1 0", Err("argument 3: expected master or replica, got 'slave'"));
    check("5 NOFLAGS master db a:1", Err("argument 6: a count of peers from 0 to 128 is missing"));
    check(
        "5 NOFLAGS master db a:1 129",
        Err("argument 6: expected a count of peers from 0 to 128, got '129'"),
    );
    check("5 NOFLAGS master db a:1 1 b:1", Err("argument 8: a peer proxy's address is missing"));
    check("5 NOFLAGS master db a:1 0 b:1 p:1", Err("argument 7: expected master or replica, got 'b:1'"));
    check("5 NOFLAGS master db a:1 0 master db a:1 0", Err("argument 9: node a:1 is listed twice"));
    check("5 NOFLAGS replica db a:1 0", Err("argument 5: replica a:1 has no peer to replicate"));
    check("5 NOFLAGS master db a:1 1 a:1 p:1", Err("argument 5: node a:1 is its own peer"));
    check(&format!("5 COMPRESS {}", packed(b"[]")), Ok("5 NOFLAGS"));
    check(&format!("5 COMPRESS {} x", packed(b"[]")), Err("argument 4: expected nothing more, got 'x'"));
    let alone = br#"[{"cluster":"db","node":"a:1","role":"replica","peers":[]}]"#;
    let expected = "compressed payload: replica a:1 has no peer to replicate";
    check(&format!("5 COMPRESS {}", packed(alone)), Err(expected));
}
