//! What a broker costs etcd while nothing happens does not grow with the event log.
//!
//! IDLE_READINGS sets how many readings are measured; the figures are printed.

use std::time::{Duration, Instant};

use control::broker::open_metadata;
use control_core::Command;

use super::fixture::{EtcdServer, number_from_environment, on_etcd};

/// As many as two coordinators make in a minute.
const READINGS_DEFAULT: usize = 2_400;
/// Longer than a broker waits at most until it looks by itself whether something has changed.
const QUIET: Duration = Duration::from_secs(6);
/// As many changes as a full event log has, and more.
const CHANGES: usize = 4_200;
/// How many are made at a time.
const TOGETHER: usize = 64;
/// How much more it may cost with a full log. Before, it was seven times as much.
const GROWTH_MAX: f64 = 2.0;
/// What a measurement of a short time may be off by.
const SLACK: Duration = Duration::from_millis(100);

/// The processor time that readings and a while of quiet cost etcd.
async fn cost(metadata: &control::store::Metadata, etcd: &EtcdServer, readings: usize) -> Duration {
    let (before, began) = (etcd.processor_time(), Instant::now());
    for _ in 0..readings {
        metadata.confirmed().await.unwrap();
    }
    let read = etcd.processor_time() - before;
    tokio::time::sleep(QUIET).await;
    let all = etcd.processor_time() - before;
    println!(
        "{readings} readings: {read:.2?}, with the quiet after them: {all:.2?}, in {:.1?}",
        began.elapsed()
    );
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn does_not_grow_with_the_event_log() {
    let etcd = EtcdServer::start().await;
    let metadata = open_metadata(&on_etcd(&etcd)).await.unwrap();
    let readings = number_from_environment("IDLE_READINGS", READINGS_DEFAULT);
    let empty = cost(&metadata, &etcd, readings).await;
    // Each is an event and leaves nothing else.
    for number in (0..CHANGES).step_by(TOGETHER) {
        let mut changes = tokio::task::JoinSet::new();
        for offset in 0..TOGETHER {
            let (metadata, name) = (metadata.clone(), format!("127.0.3.{offset}:{}", 1 + number));
            changes.spawn(async move {
                metadata.change(Command::SetReplicaAddresses(vec![name])).await.unwrap();
            });
        }
        changes.join_all().await;
    }
    let kept = metadata.events(0, usize::MAX).events.len();
    assert!(kept >= 4_096, "the log is full: {kept}");
    let full = cost(&metadata, &etcd, readings).await;
    assert!(full <= empty.mul_f64(GROWTH_MAX) + SLACK, "with events {full:?}, without {empty:?}");
}
