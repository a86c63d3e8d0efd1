//! How `ctl` fails: the code to exit with, what it says, and what it advises.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::broker::{Broker, ended, undermoon};

#[test]
fn refusals_say_what_to_do() {
    let broker = Broker::with_proxies(3);
    let check = |arguments: &[&str], code: i32, wanted: &[&str]| {
        let ended = broker.ctl(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.stderr);
        for part in wanted {
            assert!(ended.stderr.contains(part), "{arguments:?}: no {part:?} in {}", ended.stderr);
        }
    };
    check(&["cluster", "show", "none"], 1, &["there is no cluster none", "ctl cluster list"]);
    check(&["cluster", "config", "none"], 1, &["there is no cluster none"]);
    check(&["cluster", "config", "none", "a=b"], 1, &["CLUSTER_NOT_FOUND", "ctl cluster list"]);
    check(&["cluster", "balance", "none"], 1, &["there is no cluster none"]);
    check(&["cluster", "delete", "none", "--yes"], 1, &["there is no cluster none"]);
    check(&["cluster", "scale", "none", "--cancel"], 1, &["CLUSTER_NOT_FOUND"]);
    check(&["cluster", "failover", "none", "--shard", "0"], 1, &["there is no cluster none"]);
    check(
        &["cluster", "create", "big", "--chunks", "9"],
        1,
        &["NO_AVAILABLE_RESOURCE", "3 are free", "pool add"],
    );
    check(&["cluster", "create", "odd", "--nodes", "6"], 1, &["INVALID_NODE_NUMBER", "--chunks"]);
    check(&["pool", "remove", "127.9.9.9:5299"], 1, &["PROXY_NOT_FOUND", "ctl pool list"]);
    check(&["pool", "add", "127.0.3.9:5299", "127.0.3.9:1", "127.0.3.9:1"], 1, &["INVALID_PROXY_ADDRESS"]);
    check(&["restore", "/nonexistent.json", "--yes"], 1, &["/nonexistent.json: No such file"]);

    broker.ctl(&["cluster", "create", "mydb", "--chunks", "1", "--no-wait"]).good();
    check(&["cluster", "create", "mydb", "--chunks", "1"], 1, &["ALREADY_EXISTED", "another name"]);
    check(&["cluster", "config", "mydb", "speed=high"], 1, &["INVALID_CONFIG", "ctl cluster config"]);
    check(&["cluster", "scale", "mydb", "--chunks", "1"], 1, &["SLOTS_ALREADY_EVEN", "nothing to do"]);
    check(&["cluster", "scale", "mydb", "--release"], 1, &["FREE_NODE_NOT_FOUND"]);
    check(&["cluster", "failover", "mydb", "--shard", "7"], 1, &["SHARD_NOT_FOUND", "ctl cluster show"]);
    check(&["cluster", "failover", "mydb", "--proxy", "127.0.3.9:5299"], 1, &["PROXY_NOT_FOUND"]);
    let decide = ["review", "--cluster", "mydb", "--by", "metadata", "--yes"];
    check(&decide, 1, &["NOT_UNDER_REVIEW", "ctl review"]);
    check(&["pool", "remove", "127.0.3.1:5299", "127.0.3.2:5299", "127.0.3.3:5299"], 1, &["IN_USE"]);

    // What cannot be undone is not done without being asked for.
    check(&["cluster", "delete", "mydb"], 2, &["all keys", "--yes"]);
    check(&["cluster", "failover", "mydb", "--shard", "0", "--force"], 2, &["is lost", "--yes"]);
    check(
        &["plan", "create", "mydb", "--chunks", "1"],
        1,
        &["the change would be refused with ALREADY_EXISTED"],
    );
    assert!(broker.ctl(&["cluster", "list"]).good().contains("mydb"));
}

#[test]
fn programs_get_errors_as_json() {
    let broker = Broker::start(&[]);
    let ended = broker.ctl(&["cluster", "show", "none", "-o", "json"]);
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert_eq!(error["error"], "CLUSTER_NOT_FOUND");
    assert_eq!(error["message"], "there is no cluster none");
    assert!(error["advice"].as_str().unwrap().contains("cluster list"), "{error}");
}

#[test]
fn nobody_there() {
    let nobody = "127.0.0.1:1";
    let unreachable = ended(undermoon().args(["ctl", "cluster", "list", "--broker", nobody]));
    assert_eq!(unreachable.code, 69, "{}", unreachable.stderr);
    assert!(unreachable.stderr.contains("--broker or UNDERMOON_BROKER"), "{}", unreachable.stderr);
    // With several brokers one that answers is enough.
    let broker = Broker::start(&[]);
    let both = format!("{nobody},{}", broker.address);
    let found =
        ended(undermoon().args(["ctl", "cluster", "list", "-o", "json"]).env("UNDERMOON_BROKER", both));
    assert_eq!(found.good(), "[]\n");
}

#[test]
fn command_lines_that_cannot_be() {
    let check = |arguments: &[&str], wanted: &str| {
        let ended = ended(undermoon().arg("ctl").args(arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(wanted), "{arguments:?}: {}", ended.stderr);
    };
    check(&[], "Usage: undermoon ctl");
    check(&["cluster", "create", "a b", "--chunks", "1"], "a cluster name is");
    check(&["cluster", "create", "mydb"], "--chunks");
    check(&["cluster", "create", "mydb", "--chunks", "1", "--nodes", "4"], "cannot be used with");
    check(&["cluster", "config", "mydb", "no-equals-sign"], "field=value");
    check(&["cluster", "failover", "mydb"], "--shard");
    check(&["cluster", "list", "--broker", "ftp://x"], "begins with http");
    check(&["cluster", "list", "-o", "xml"], "possible values: table, json");
    check(&["pool", "add", "127.0.3.1:5299", "127.0.3.1:6379"], "2 values required");
    check(&["cluster", "delete", "mydb", "--no-wait", "--timeout", "5"], "cannot be used with");
}

#[test]
fn https() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] =
        ["broker.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl is needed for this test");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let settings = [("UNDERMOON_TLS_CERTIFICATE", certificate.as_str()), ("UNDERMOON_TLS_KEY", key.as_str())];
    let broker = Broker::start(&settings);
    let list = |more: &[&str]| {
        let mut command = broker.command(&["cluster", "list", "-o", "json"]);
        ended(command.args(more).env("UNDERMOON_BROKER", format!("https://{}", broker.address)))
    };
    assert_eq!(list(&["--ca", &certificate]).good(), "[]\n");
    let stranger = list(&[]);
    assert_eq!(stranger.code, 69, "{}", stranger.stderr);
    assert!(
        stranger.stderr.contains("certificate") && stranger.stderr.contains("--ca"),
        "{}",
        stranger.stderr
    );
    let missing = list(&["--ca", "/nonexistent.pem"]);
    assert!(
        missing.code == 1 && missing.stderr.contains("/nonexistent.pem: No such file"),
        "{}",
        missing.stderr
    );
}

#[test]
fn tokens() {
    let broker = Broker::start(&[("UNDERMOON_WRITE_TOKEN", "scissors"), ("UNDERMOON_READ_TOKEN", "glasses")]);
    let file = broker.folder().join("token");
    std::fs::File::create(&file).unwrap().write_all(b"scissors\n").unwrap();
    let (file, list) = (file.to_str().unwrap(), ["cluster", "list", "-o", "json"]);
    let add = ["pool", "add", "127.0.3.1:5299", "127.0.3.1:6379", "127.0.3.1:6380"];
    let check = |arguments: &[&str], token: Option<&str>, code: i32, wanted: &str| {
        let mut command = broker.command(arguments);
        command.stdin(Stdio::null()).envs(token.map(|token| ("UNDERMOON_TOKEN", token)));
        let ended = ended(&mut command);
        assert_eq!(ended.code, code, "{arguments:?} {token:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(wanted), "{arguments:?} {token:?}: {}", ended.stderr);
    };
    check(&list, None, 77, "UNDERMOON_TOKEN");
    check(&list, Some("paper"), 77, "UNAUTHORIZED");
    check(&list, Some("glasses"), 0, "");
    check(&add, Some("glasses"), 77, "write_token");
    check(&add, Some("scissors"), 0, "");
    check(&[&list[..], &["--token-file", file]].concat(), None, 0, "");
    check(&[&list[..], &["--token-file", "/nonexistent"]].concat(), None, 1, "/nonexistent: No such file");
    check(&list, Some(" "), 2, "UNDERMOON_TOKEN does not have a token");
}
