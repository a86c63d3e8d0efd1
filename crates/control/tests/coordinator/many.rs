//! Many proxies: all are filled, refilled and failed over in time, at a price that is printed.
//!
//! `COORDINATOR_PROXIES=10000 cargo test -p control --profile quick --test coordinator many_proxies -- --nocapture` is the
//! long form.

use std::time::{Duration, Instant};

use control_core::Half;

use crate::crowd_process::allow_connections;
use crate::fixture::{Fixture, wait};

const PROXIES_DEFAULT: usize = 100;
/// Proxies that stay in the pool.
const SPARE: usize = 10;
/// How long the quiet time is over which CPU is measured.
const QUIET: Duration = Duration::from_secs(3);

/// CPU time of this process in microseconds; and its peak memory in bytes.
fn used() -> (u64, u64) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap();
    let on_cpu_us = |text: String| text.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1000;
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let tasks = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    let cpu = tasks.map(|task| {
        let path = format!("/proc/self/task/{task}/schedstat");
        // A thread may have ended since.
        std::fs::read_to_string(path).map_or(0, on_cpu_us)
    });
    let status = read("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    (cpu.sum(), kilobytes * 1024)
}

#[test]
fn many_proxies_are_looked_after() {
    let count = std::env::var("COORDINATOR_PROXIES").map_or(PROXIES_DEFAULT, |text| text.parse().unwrap());
    allow_connections(count);
    let fixture = Fixture::start(count, SPARE);
    let limit = Duration::from_secs(60).max(Duration::from_millis(u64::try_from(count).unwrap() * 20));
    let filled = wait(limit, "all proxies are filled", || fixture.is_filled());
    // Replicas are seen in sync by and by; that changes no view.
    wait(limit, "all replicas are seen in sync", || fixture.is_in_sync());

    let probes = || fixture.crowd.asked().0;
    let ((cpu, _), (seen, begun)) = (used(), (probes(), Instant::now()));
    std::thread::sleep(QUIET);
    let (probed, took) = (probes() - seen, begun.elapsed());
    let ((cpu_after, memory), share) = (used(), 100.0 / took.as_secs_f64() / 1e6);
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let busy = (cpu_after - cpu) as f64 * share;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let interval = took.mul_f64(count as f64 / probed as f64);
    assert!(probed > 0 && fixture.crowd.asked().1 > 0);

    // One that starts anew and empty is filled again.
    let chunk = fixture.metadata.state().clusters.values().next().unwrap().chunks[0].clone();
    let [first, second] = &chunk.proxies;
    fixture.crowd.restart(first);
    let refilled = wait(limit, "the empty proxy is filled", || fixture.is_filled());

    // One that dies is replaced by its partner's replica, and its place taken from the pool.
    let slots = |address| fixture.crowd.slots(address);
    let before = (slots(first), slots(second));
    fixture.crowd.kill(first);
    let taken_over = wait(limit, "the partner has all slots", || slots(second) == before.0 + before.1);
    wait(limit, "a spare proxy has its place", || {
        let state = fixture.metadata.state();
        let chunk = &state.clusters.values().next().unwrap().chunks[0];
        !chunk.proxies.contains(first) && fixture.is_filled()
    });
    assert!(fixture.metadata.state().is_failed(first));

    // When it returns it goes to the pool, and the primary that is away goes home.
    fixture.crowd.restart(first);
    wait(limit, "it counts as well again", || !fixture.metadata.state().is_failed(first));
    wait(limit, "its nodes are emptied", || fixture.crowd.cleanings(first) > 0);
    wait(limit, "all primaries are at home", || {
        let state = fixture.metadata.state();
        let mut chunks = state.clusters.values().flat_map(|cluster| &cluster.chunks);
        fixture.is_filled()
            && chunks.all(|chunk| Half::BOTH.into_iter().all(|half| chunk.shard(half).primary == half))
    });
    println!(
        "{count} proxies: filled in {filled:.2?}, each probed every {interval:.0?}, {busy:.1} % of a core, \
         {} MiB; refilled in {refilled:.2?}, taken over in {taken_over:.2?}",
        memory / 1024 / 1024
    );
    if std::env::var_os("COORDINATOR_PROXIES").is_some() {
        for (what, took, limit) in [
            ("a probe of each", interval, Duration::from_secs(1)),
            ("refilling", refilled, Duration::from_secs(1)),
            ("taking over", taken_over, Duration::from_secs(8)),
        ] {
            assert!(took < limit, "{what} took {took:?}");
        }
    }
}
