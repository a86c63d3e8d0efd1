//! Real signals advance the phase. The only test of its process: signals are the process's, not the test's.

use service::shutdown::{Phase, Shutdown};
use std::process::Command;
use std::time::{Duration, Instant};

fn signal_myself(name: &str) {
    let own = std::process::id().to_string();
    assert!(Command::new("kill").args(["-s", name, &own]).status().expect("kill runs").success());
}

#[test]
fn once_drains_and_twice_stops() {
    let shutdown = Shutdown::on_signals().unwrap();
    assert_eq!(shutdown.phase(), Phase::Running);
    for (name, phase) in [("TERM", Phase::Draining), ("INT", Phase::Stopping)] {
        signal_myself(name);
        let sent = Instant::now();
        while shutdown.phase() != phase {
            assert!(sent.elapsed() < Duration::from_secs(5), "{name} did not lead to {phase:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
