//! `--dir`: a second start finds everything again.

use super::running::{Up, entries, is_alive, undermoon, wait_until};

#[test]
fn a_second_start_finds_everything() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("data");
    let dir = ["--dir", directory.to_str().unwrap()];
    let mut first = Up::start(temporary.path(), &[&dir[..], &["--chunks", "1"]].concat());
    for key in ["a", "b"] {
        first.set(key, "moons");
    }
    first.wait_for_replicas();
    first.ctl(&["cluster", "config", "local", "migration_max_blocking_time=500"]);
    // While it runs, another start on the same directory says why it does not.
    let twice = undermoon().arg("up").args(dir).output().unwrap();
    let errors = String::from_utf8_lossy(&twice.stderr);
    assert!(twice.status.code() == Some(1) && errors.contains("is that cluster running?"), "{errors}");
    first.signal("TERM");
    assert_eq!(first.wait().code(), Some(0));

    // Another form of cluster would not find its keys.
    let other = undermoon().arg("up").args(dir).args(["--chunks", "2"]).output().unwrap();
    let errors = String::from_utf8_lossy(&other.stderr);
    assert!(other.status.code() == Some(1) && errors.contains("holds a cluster with --chunks 1"), "{errors}");

    let mut second = Up::start_as_told(temporary.path(), &dir);
    assert_eq!((second.port, &second.broker), (first.port, &first.broker));
    for key in ["a", "b"] {
        second.expect(key, "moons");
    }
    let config = second.ctl(&["cluster", "config", "local"]);
    assert_eq!(config["migration_max_blocking_time"], "500");
    wait_until("it is as whole as before", || second.is("local", "ready"));
    second.set("a", "suns");
    second.wait_for_replicas();

    // Killed with everything that it has started, it finds its data no less.
    let descendants = second.descendants();
    second.signal("KILL");
    second.wait();
    wait_until("every child ends", || !descendants.iter().any(|pid| is_alive(*pid)));
    let mut third = Up::start_as_told(temporary.path(), &dir);
    for (key, value) in [("a", "suns"), ("b", "moons")] {
        third.expect(key, value);
    }
    third.signal("TERM");
    assert_eq!(third.wait().code(), Some(0));
    assert!(directory.join("undermoon-up.toml").exists());
    assert_eq!(entries(temporary.path()).len(), 1, "nothing but the directory itself");
}
