//! `undermoon up` where it cannot start: it says why.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

/// A port with some room above it that is free now: tests run side by side.
fn base_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    // `up` takes no base above 60000.
    20_000 + port % 40_000
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
