//! Starting and ending.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::running::{Up, ask_whole, base_port, entries, is_alive, undermoon, wait_until};

#[test]
fn it_serves_and_leaves_nothing() {
    /// Starts a cluster of the given form, ends it with the signal, and expects the exit code.
    fn check(arguments: &[&str], processes: usize, signal: &str, code: Option<i32>) {
        let temporary = tempfile::tempdir().unwrap();
        let mut up = Up::start(temporary.path(), arguments);
        for wanted in ["redis-cli -c -p", "cluster show local --watch", "kill -9 ", "replica of 0-8191"] {
            assert!(up.said.contains(wanted), "no {wanted} in {}", up.said);
        }
        assert_eq!(up.said.contains("in the pool: "), arguments.contains(&"--spare"), "{}", up.said);
        let descendants = up.descendants();
        // The sweeper of the temporary directory is one more.
        assert_eq!(descendants.len(), processes + 1, "{arguments:?}");
        assert_eq!(entries(temporary.path()).len(), 1);

        // Slot 15495 is in the last shard, slot 3300 in the first.
        for key in ["a", "b"] {
            up.set(key, "1");
        }
        up.signal(signal);
        assert_eq!(up.wait().code(), code, "{arguments:?} {signal}");
        wait_until("every child ends", || !descendants.iter().any(|pid| is_alive(*pid)));
        wait_until("the directory is removed", || entries(temporary.path()).is_empty());
    }
    check(&["--chunks", "1"], 4 + 2 + 1, "INT", Some(0));
    check(&["--chunks", "1", "--spare", "1"], 6 + 3 + 1, "KILL", None);
}

/// A person waits for this: on a quiet machine it takes one to two seconds. What `up` says is ready has no replica that
/// still has to get a copy.
#[test]
fn it_starts_soon_and_with_every_replica_in_sync() {
    /// A start on a machine that builds and tests on all cores meanwhile.
    const START_MAX: Duration = Duration::from_secs(20);
    let temporary = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let up = Up::start(temporary.path(), &[]);
    let took = started.elapsed();
    let replicas: Vec<u16> = up
        .said
        .split([' ', '\n'])
        .zip(up.said.split([' ', '\n']).skip(1))
        .filter(|(_, next)| *next == "(replica")
        .map(|(address, _)| address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port"))
        .collect();
    assert_eq!(replicas.len(), 4, "{}", up.said);
    for port in replicas {
        let replication = ask_whole(port, "INFO replication").expect("an answer");
        for wanted in ["role:slave", "master_link_status:up", "master_sync_in_progress:0"] {
            assert!(replication.contains(wanted), "{port} lacks {wanted}: {replication}");
        }
    }
    let said = up.said.split("Ready after ").nth(1).and_then(|rest| rest.split(" s.").next());
    let said: f64 = said.and_then(|seconds| seconds.parse().ok()).expect("a time");
    assert!(said <= took.as_secs_f64() + 0.1, "it says {said} s and took {took:?}");
    assert!(took < START_MAX, "{took:?}");
}

/// The password and the tokens of the environment are those of proxies and broker, and `up` knows them itself.
#[test]
fn secrets_of_the_environment() {
    let temporary = tempfile::tempdir().unwrap();
    let base = base_port().to_string();
    let mut command = undermoon();
    command.args(["up", "--chunks", "1", "--port", &base]).env("TMPDIR", temporary.path());
    let secrets = [("PASSWORD", "sesame"), ("WRITE_TOKEN", "scissors"), ("READ_TOKEN", "glasses")];
    command.envs(secrets.map(|(name, value)| (format!("UNDERMOON_{name}"), value)));
    let mut up = Up::start_command(&mut command);
    for wanted in ["-a \"$UNDERMOON_PASSWORD\"", "UNDERMOON_TOKEN=\"$UNDERMOON_READ_TOKEN\""] {
        assert!(up.said.contains(wanted), "no {wanted} in {}", up.said);
    }
    for (_, secret) in secrets {
        assert!(!up.said.contains(secret), "{secret} is told to everybody: {}", up.said);
    }
    assert!(up.ask("GET a").is_some_and(|answer| answer.starts_with("-NOAUTH")));
    let list = |token: &str| {
        let output = up.ctl_command(&["cluster", "list"]).env("UNDERMOON_TOKEN", token).output().unwrap();
        output.status.code()
    };
    assert_eq!((list("paper"), list("glasses")), (Some(77), Some(0)));
    up.signal("TERM");
    assert_eq!(up.wait().code(), Some(0));
}

#[test]
fn several_clusters_beside_another_up() {
    let temporary = tempfile::tempdir().unwrap();
    let first = Up::start(temporary.path(), &["--chunks", "1"]);
    let taken = first.port.to_string();
    let mut second =
        Up::start_as_told(temporary.path(), &["--port", &taken, "--chunks", "1", "--clusters", "2"]);
    assert_ne!(first.port, second.port);
    assert_ne!(first.broker, second.broker);
    let names = second.ctl(&["cluster", "list"]);
    let names: Vec<&str> =
        names.as_array().unwrap().iter().map(|line| line["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["local-1", "local-2"]);
    // A failed call leaves the running one alone; each ends by itself.
    second.signal("TERM");
    assert_eq!(second.wait().code(), Some(0));
    first.set("a", "1");
}

#[test]
fn what_cannot_start_is_explained() {
    fn check(arguments: &[&str], environment: &[(&str, &str)], code: i32, wanted: &str) {
        let mut command = undermoon();
        let base = base_port().to_string();
        command.args(["up", "--port", &base]).args(arguments).envs(environment.iter().copied());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
    }
    check(&["--chunks", "0"], &[], 2, "0 is not in 1..");
    check(&["--replicas", "0"], &[], 2, "say --chunks");
    check(&["--shards=5"], &[], 2, "say --chunks");
    check(&["--chunks", "33"], &[], 1, "at most 64 proxies");
    check(&[], &[("UNDERMOON_BACKEND_TIMEOUT", "soon")], 78, "`backend_timeout` = \"soon\"");
    check(&[], &[("UNDERMOON_READ_TOKEN", "glasses")], 78, "write_token");
    check(&[], &[("PATH", "/nonexistent")], 1, "apt-get install redis-server");
    check(&["--redis-server", "/bin/false"], &[], 1, "Redis server 127.0.0.1:");
    check(&["--redis-server", "/nonexistent/redis"], &[], 1, "cannot run /nonexistent/redis: No such file");
    check(&["--dir", "/proc"], &[], 1, "/proc is not empty");
}

/// Told to stop while it still starts, it stops, and leaves as little behind.
#[test]
fn it_can_be_stopped_before_it_serves() {
    let temporary = tempfile::tempdir().unwrap();
    let base = base_port().to_string();
    let mut child = undermoon()
        .args(["up", "--port", &base])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("it has begun", || !entries(temporary.path()).is_empty());
    let status = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(status.unwrap().success());
    wait_until("it ends", || child.try_wait().unwrap().is_some());
    wait_until("the directory is removed", || entries(temporary.path()).is_empty());
    // Nobody is left who listens where it would have.
    let base: u16 = base.parse().unwrap();
    let took = wait_until("its ports are free", || TcpListener::bind((Ipv4Addr::LOCALHOST, base)).is_ok());
    assert!(took < Duration::from_secs(10));
}
