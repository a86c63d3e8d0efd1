//! Runs the real program for a moment against real servers. It must never judge the figures: other tests
//! run at the same time.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may the functions that it calls")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::report::{Report, Traffic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bench");
/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

fn quick(json: &Path, cases: &[&str]) -> Report {
    let mut command = Command::new(PROGRAM);
    command.args(["--quick", "--start", "nutcracker,redis", "--json"]).arg(json);
    for case in cases {
        command.args(["--case", case]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&fs::read(json).unwrap()).unwrap()
}

#[test]
fn a_quick_run_measures_every_kind_of_case() {
    let folder = tempfile::tempdir().unwrap();
    let cases = ["set-3B-c50-P16", "get-3B-c50-P16", "mget100", "get-1MiB", "r5000", "idle-500"];
    let report = quick(&folder.path().join("report.json"), &cases);
    assert!(report.quick && report.notes.is_empty(), "nutcracker must be installed: {:?}", report.notes);
    assert_eq!(report.cases.len(), cases.len());
    for case in &report.cases {
        let names: Vec<&str> = case.targets.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["nutcracker", "redis"], "{}", case.name);
        for target in &case.targets {
            if case.name.starts_with("idle") {
                assert!(target.idle.iter().all(|idle| idle.many_kib >= idle.few_kib), "{target:?}");
                assert_eq!(target.idle.len(), 1);
                continue;
            }
            let [sample] = target.traffic[..] else { panic!("one round, but {target:?}") };
            plausible(&sample, &target.name, &case.name);
        }
    }
}

/// Bounds that hold on any machine, however busy, and that a wrong unit or a wrong column would break.
fn plausible(sample: &Traffic, target: &str, case: &str) {
    assert!(sample.requests >= 100, "{case} {target} {sample:?}");
    assert!((0.05..100_000.0).contains(&sample.process_us), "{case} {target} {sample:?}");
    assert_eq!(sample.backend_us.is_some(), target == "nutcracker", "{case} {target} {sample:?}");
    assert!(sample.backend_us.is_none_or(|us| us > 0.0), "{case} {target} {sample:?}");
    assert!(sample.per_second > 1.0 && sample.p50_ms <= sample.p99_ms, "{case} {target} {sample:?}");
    // One process on one core cannot use more than the time that went by, though threads may add a little.
    let busy = sample.process_us * sample.per_second / 1e6;
    assert!(busy < 1.5, "{case} {target} uses {busy} cores: {sample:?}");
    assert!(sample.resident_kib > 500, "{case} {target} {sample:?}");
}

#[test]
fn killing_the_run_leaves_no_process() {
    let mut command = Command::new(PROGRAM);
    command.args(["--start", "nutcracker,redis", "--case", "get-3B-c50-P1", "--rounds", "100"]);
    // A killed run cannot remove its own folder.
    let folder = tempfile::tempdir().unwrap();
    command.env("TMPDIR", folder.path());
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Two Redis servers, nutcracker, redis-benchmark.
    let mut started = Vec::new();
    until("four children", || {
        started = children(run.id());
        // Only what has become its own program is bound to its parent's life.
        started.len() >= 4 && started.iter().all(|pid| is_bound(*pid))
    });
    run.kill().unwrap();
    run.wait().unwrap();
    until("no child", || started.iter().all(|pid| !alive(*pid)));
}

#[test]
fn cases_are_listed_and_nothing_matches_nothing() {
    let run = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).lines().count())
    };
    assert_eq!(run(&["--list", "--case", "c50-P16"]), (true, 4));
    assert_eq!(run(&["--case", "no such case"]), (false, 0));
    assert_eq!(run(&["--start", "memcached", "--quick"]), (false, 0));
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < LIMIT, "{what} in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a child is past the moment in which its parent's death would go unnoticed.
fn is_bound(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    !matches!(name.trim(), "" | "bench" | "setpriv")
}

/// State and parent of a process, from /proc/PID/stat; `None` once it is gone.
fn state(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut columns = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((columns.next()?.to_owned(), columns.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| state(*pid).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

/// A dead process that nobody has waited for yet does no harm.
fn alive(pid: u32) -> bool {
    state(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}
