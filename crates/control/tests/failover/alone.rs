//! With the whole control plane dead, no request fails.

use std::time::{Duration, Instant};

use testkit::stalls::unless_stalled;

use crate::fixture::{CLUSTER, four_of, from_environment, wait_attached};
use testkit::proof::load::{Load, check_nothing_failed};

#[test]
fn nothing_fails_without_a_control_plane() {
    let attempt = |stalls: &mut testkit::stalls::StallWatch| {
        let mut cluster = four_of(4);
        wait_attached(&cluster);
        let shards = cluster.shards(CLUSTER).unwrap();
        let keys = shards.iter().map(|shard| shard.key("alone", 0).unwrap()).collect();
        stalls.begin(&cluster.nodes());
        for service in cluster.brokers.iter_mut().chain(&mut cluster.coordinators) {
            service.kill();
        }
        let begun = Instant::now();
        let load = Load::start(&cluster.proxies(), keys);
        let seconds = u64::try_from(from_environment("ALONE_SECONDS", 4)).unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        let written = load.stop();
        let count: usize = written.values().map(Vec::len).sum();
        println!("{count} writes in {:.1?} without a control plane", begun.elapsed());
        check_nothing_failed(&written, "without a control plane")?;
        // And it is found as it was left.
        for service in cluster.brokers.iter_mut().chain(&mut cluster.coordinators) {
            service.restart().unwrap();
            service.wait_listening().unwrap();
        }
        cluster.wait_whole(CLUSTER)
    };
    unless_stalled(attempt).unwrap();
}
