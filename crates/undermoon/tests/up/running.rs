//! A running `undermoon up`, and how to talk to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything here may take before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How many times one request follows MOVED.
const HOPS_MAX: usize = 4;

/// Asks until `condition` holds; a panic with `what` at the deadline. Answers how long it took.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    started.elapsed()
}

/// A running `undermoon up`. Killed when the test ends, whatever happened.
pub(crate) struct Up {
    pub(crate) child: Child,
    /// The port of the first proxy.
    pub(crate) port: u16,
    /// The broker's address.
    pub(crate) broker: String,
    /// All that it said on standard output until it served.
    pub(crate) said: String,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Up {
    /// Starts it with a temporary directory of its own in `temporary`, and waits until it serves.
    pub(crate) fn start(temporary: &Path, arguments: &[&str]) -> Up {
        let port = base_port().to_string();
        Up::start_as_told(temporary, &[&["--port", &port], arguments].concat())
    }

    /// The same, with no port but what the arguments say.
    pub(crate) fn start_as_told(temporary: &Path, arguments: &[&str]) -> Up {
        let mut command = undermoon();
        command.arg("up").args(arguments).env("TMPDIR", temporary);
        Up::start_command(&mut command)
    }

    /// The same, with whatever the command has.
    pub(crate) fn start_command(command: &mut Command) -> Up {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut said = String::new();
        while !said.contains("Ctrl-C stops everything") {
            let line =
                lines.next().unwrap_or_else(|| panic!("it ended after saying:\n{said}")).expect("UTF-8");
            said.push_str(&line);
            said.push('\n');
        }
        let word_after = |text: &str| {
            let rest = said.split(text).nth(1).unwrap_or_else(|| panic!("no {text:?} in {said}"));
            rest.split([' ', ',', '\n']).next().expect("a word").to_owned()
        };
        let port = word_after("-c -p ").parse().expect("a port");
        let broker = word_after("broker http://");
        Up { child, port, broker, said }
    }

    /// Process ids of all that it started.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let text = std::fs::read_to_string(path).expect("the children of a running process");
        text.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
    }

    /// The process whose command line has the text.
    pub(crate) fn process(&self, text: &str) -> Option<u32> {
        self.descendants().into_iter().find(|pid| command_line(*pid).contains(text))
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.child.try_wait().expect("our own child");
            status.is_some()
        });
        status.expect("waited for above")
    }

    /// Reads a key, however long it takes to be served; a panic when it has another value.
    pub(crate) fn expect(&self, key: &str, value: &str) {
        wait_until(&format!("{key} is read"), || match self.ask(&format!("GET {key}")) {
            Some(answer) if !answer.starts_with('-') => {
                assert_eq!(answer, value, "{key}");
                true
            }
            _ => false,
        });
    }

    /// Waits until what was written is on the replicas, too: without that, replication being asynchronous, a write may go
    /// with the primary that took it.
    pub(crate) fn wait_for_replicas(&self) {
        let pool = self.ctl(&["pool", "list"]);
        for line in pool.as_array().expect("a list").iter().filter(|line| !line["cluster"].is_null()) {
            let proxy = line["proxy"].as_str().expect("an address");
            let port: u16 = proxy.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
            let has_copies = || ask(port, "WAIT 1 2000").as_deref() == Some(":1");
            wait_until(&format!("the replicas of {proxy} have everything"), has_copies);
        }
    }

    /// Runs `undermoon ctl` with its broker and reads the JSON that it prints.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Value {
        let output = self.ctl_command(arguments).output().expect("ctl runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Runs `undermoon ctl` until it does not say any more that it can be tried again: on a busy machine a handover
    /// may be given up, without loss.
    pub(crate) fn insist(&self, arguments: &[&str]) {
        wait_until(&format!("{arguments:?} succeeds"), || {
            let output = self.ctl_command(arguments).output().expect("ctl runs");
            let said = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 75)), "{arguments:?}: {code:?} {said}");
            code == Some(0)
        });
    }

    /// `undermoon ctl` with its broker, not started yet.
    pub(crate) fn ctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = undermoon();
        command.args(["ctl", "--broker", &self.broker, "-o", "json"]).args(arguments);
        command
    }

    /// Whether the broker answers, and has the cluster in this state.
    pub(crate) fn is(&self, cluster: &str, state: &str) -> bool {
        let output = self.ctl_command(&["cluster", "list"]).output().expect("ctl runs");
        let list: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let clusters = list.as_array().map_or(&[][..], Vec::as_slice);
        clusters.iter().any(|line| line["name"] == cluster && line["state"] == state)
    }

    /// Writes a key. A primary that has not heard of its replica yet serves by its lease alone, which may lapse for a moment
    /// on a machine that is busy for long.
    pub(crate) fn set(&self, key: &str, value: &str) {
        let line = format!("SET {key} {value}");
        wait_until(&format!("{line} is taken"), || self.ask(&line).as_deref() == Some("+OK"));
    }

    /// Sends a command to whichever proxy has its slot; none when that is not answered now.
    pub(crate) fn ask(&self, line: &str) -> Option<String> {
        let mut port = self.port;
        for _ in 0..HOPS_MAX {
            let answer = ask(port, line)?;
            match answer.strip_prefix("-MOVED ") {
                Some(moved) => port = moved.rsplit(':').next()?.parse().ok()?,
                None => return Some(answer),
            }
        }
        None
    }
}

/// The binary, with nothing of the test's own environment that it would read.
pub(crate) fn undermoon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_undermoon"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNDERMOON_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

/// A port with some room above it that is free now: tests run side by side.
pub(crate) fn base_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    // Below the ports of outgoing connections, and those that the testkit gives out.
    10_000 + port % 9_000
}

pub(crate) fn command_line(pid: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

pub(crate) fn is_alive(pid: u32) -> bool {
    // A zombie has ended; only its parent has not looked yet.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Sends one inline command and returns the text of the bulk string that is the answer.
pub(crate) fn ask_whole(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut header = String::new();
    reader.read_line(&mut header).ok()?;
    let mut text = vec![0; header.strip_prefix('$')?.trim_end().parse().ok()?];
    reader.read_exact(&mut text).ok()?;
    String::from_utf8(text).ok()
}

/// Sends one inline command and returns the first line of the answer, or the second where the first is a length.
pub(crate) fn ask(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
    let mut reply_line = || {
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).ok()?;
            answer.push(byte[0]);
        }
        Some(String::from_utf8_lossy(&answer).trim_end().to_owned())
    };
    let first = reply_line()?;
    if first.starts_with('$') && first != "$-1" { reply_line() } else { Some(first) }
}

pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    let list = std::fs::read_dir(directory).expect("a directory");
    list.map(|entry| entry.expect("an entry").path()).collect()
}
