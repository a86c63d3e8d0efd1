//! `undermoon up` on real processes: it serves, it says how, and it leaves nothing behind however it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until `condition` holds; a panic with `what` at the deadline.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running `undermoon up`. Killed when the test ends, whatever happened.
struct Up {
    child: Child,
    port: u16,
    /// All that it said on standard output until it served.
    said: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Up {
    /// Starts it with a temporary directory of its own in `temporary`, and waits until it serves.
    fn start(temporary: &Path, arguments: &[&str]) -> Up {
        let port = base_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_undermoon"));
        command.args(["up", "--port", &port.to_string()]).args(arguments).env("TMPDIR", temporary);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut said = String::new();
        while !said.contains("Ctrl-C stops everything") {
            let line =
                lines.next().unwrap_or_else(|| panic!("it ended after saying:\n{said}")).expect("UTF-8");
            said.push_str(&line);
            said.push('\n');
        }
        let port = said.split("-c -p ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let port = port.and_then(|port| port.parse().ok()).expect("the port of the first proxy");
        Up { child, port, said }
    }

    /// Process ids of all that it started.
    fn descendants(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let text = std::fs::read_to_string(path).expect("the children of a running process");
        text.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        status.expect("waited for above")
    }
}

/// A port with some room above it that is free now: tests run side by side.
fn base_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    // `up` takes no base above 60000.
    20_000 + port % 40_000
}

fn is_alive(pid: u32) -> bool {
    // A zombie has ended; only its parent has not looked yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Sends one inline command and returns the first line of the answer.
fn ask(port: u16, line: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a proxy listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(format!("{line}\r\n").as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    String::from_utf8_lossy(&answer).trim_end().to_owned()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let list = std::fs::read_dir(directory).expect("a directory");
    list.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn it_serves_and_leaves_nothing() {
    /// Starts a cluster of the given form, ends it with the signal, and expects the exit code.
    fn check(arguments: &[&str], processes: usize, signal: &str, code: Option<i32>) {
        let temporary = tempfile::tempdir().unwrap();
        let mut up = Up::start(temporary.path(), arguments);
        assert!(up.said.contains("redis-cli -c -p"), "{}", up.said);
        let descendants = up.descendants();
        // The sweeper of the temporary directory is one more.
        assert_eq!(descendants.len(), processes + 1, "{arguments:?}");
        assert_eq!(entries(temporary.path()).len(), 1);

        // Slot 15495 is in the last shard, slot 3300 in the first.
        let answers = [ask(up.port, "SET a 1"), ask(up.port, "SET b 1")];
        let moved = answers.iter().filter(|answer| answer.starts_with("-MOVED 15495 127.0.0.1:")).count();
        let expected = if arguments.contains(&"1") { 0 } else { 1 };
        assert_eq!(moved, expected, "{answers:?}");
        assert_eq!(answers[1], "+OK");

        up.signal(signal);
        assert_eq!(up.wait().code(), code, "{arguments:?} {signal}");
        wait_until("every child ends", || !descendants.iter().any(|pid| is_alive(*pid)));
        wait_until("the directory is removed", || entries(temporary.path()).is_empty());
    }
    check(&["--shards", "2"], 2 + 4, "INT", Some(0));
    check(&["--replicas", "0", "--shards", "1"], 1 + 1, "TERM", Some(0));
    check(&["--shards", "2", "--replicas", "0"], 2 + 2, "KILL", None);
}

#[test]
fn data_lasts_in_a_directory_of_its_own() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("data");
    let arguments = ["--shards", "1", "--replicas", "0", "--dir", directory.to_str().unwrap()];
    for expected in ["$-1", "$5"] {
        let mut up = Up::start(temporary.path(), &arguments);
        assert_eq!(ask(up.port, "GET word"), expected);
        assert_eq!(ask(up.port, "SET word moons"), "+OK");
        up.signal("TERM");
        assert_eq!(up.wait().code(), Some(0));
    }
    assert!(directory.join("undermoon-up.toml").exists());
}

#[test]
fn two_find_ports_of_their_own_and_a_dead_child_is_reported() {
    let temporary = tempfile::tempdir().unwrap();
    let arguments = ["--shards", "1", "--replicas", "0"];
    let mut first = Up::start(temporary.path(), &arguments);
    let taken = first.port.to_string();
    let mut second = Command::new(env!("CARGO_BIN_EXE_undermoon"))
        .args(["up", "--port", &taken])
        .args(arguments)
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(second.stdout.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().unwrap().contains("redis-cli")).unwrap().unwrap();
    assert!(!line.contains(&taken), "{line}");

    // Everything that the second one started is killed, so it has nothing to watch any more and ends.
    let path = format!("/proc/{0}/task/{0}/children", second.id());
    for pid in std::fs::read_to_string(path).unwrap().split_whitespace() {
        let cmdline = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        if !cmdline.contains("__sweep") {
            assert!(Command::new("kill").args(["-s", "KILL", pid]).status().unwrap().success());
        }
    }
    let output = second.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for wanted in ["proxy 127.0.0.1:", "Redis server 127.0.0.1:", "ended by itself (signal: 9 (SIGKILL))"] {
        assert!(errors.contains(wanted), "no {wanted} in {errors}");
    }
    first.signal("TERM");
    assert_eq!(first.wait().code(), Some(0));
    wait_until("both directories are removed", || entries(temporary.path()).is_empty());
}

#[test]
fn what_cannot_start_is_explained() {
    fn check(arguments: &[&str], environment: &[(&str, &str)], code: i32, wanted: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_undermoon"));
        let base = base_port().to_string();
        command.args(["up", "--port", &base]).args(arguments).envs(environment.iter().copied());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(wanted), "{arguments:?}: {errors}");
    }
    check(&["--shards", "0"], &[], 2, "0 is not in 1..=64");
    check(&["--replicas", "2"], &[], 2, "2 is not in 0..=1");
    check(&[], &[("UNDERMOON_BACKEND_TIMEOUT", "soon")], 78, "`backend_timeout` = \"soon\"");
    check(&[], &[("PATH", "/nonexistent")], 1, "apt-get install redis-server");
    check(&["--redis-server", "/bin/false"], &[], 1, "Redis server 127.0.0.1:");
    check(&["--redis-server", "/nonexistent/redis"], &[], 1, "cannot run /nonexistent/redis: No such file");
    check(&["--dir", "/proc"], &[], 1, "/proc is not empty");
}
