//! CLUSTER COUNTKEYSINSLOT and GETKEYSINSLOT over plain servers.

use std::time::Duration;

use crate::fixture::{Proxy, ask, redis};
use service::config::Milliseconds;

#[test]
fn keys_of_a_slot_are_found_on_all_primaries() {
    let (one, other) = (redis(), redis());
    let proxy = Proxy::start(|_| {});
    let mut client = proxy.connect();
    let slot: u16 = ask(&mut client, "CLUSTER KEYSLOT {tag}").trim_start_matches(':').parse().unwrap();
    let (first, last) = (format!("0-{}", slot - 1), format!("{slot}-16383"));
    let (a, b) = (one.address(), other.address());
    let line = format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {a} 1 {first} {b} 1 {last}");
    assert_eq!(ask(&mut client, &line), "OK");
    let mut writer = proxy.connect();
    for number in 0..3000 {
        ask(&mut writer, &format!("SET key{number} 1"));
    }
    for number in 0..50 {
        ask(&mut writer, &format!("SET {{tag}}{number} 1"));
    }
    let count = format!("CLUSTER COUNTKEYSINSLOT {slot}");
    let counted: usize = ask(&mut client, &count).trim_start_matches(':').parse().unwrap();
    assert!(counted >= 50, "{counted}");
    let keys = ask(&mut client, &format!("CLUSTER GETKEYSINSLOT {slot} 1000"));
    assert_eq!(keys.matches("{tag}").count(), 50);
    assert!(keys.starts_with(&format!("*{counted}\r\n")), "{keys}");
    assert!(ask(&mut client, &format!("CLUSTER GETKEYSINSLOT {slot} 7")).starts_with("*7\r\n"));
    assert_eq!(ask(&mut client, &format!("CLUSTER GETKEYSINSLOT {slot} 0")), "*0");
    assert_eq!(ask(&mut client, "SELECT 1"), "OK");
    assert_eq!(ask(&mut client, &count), ":0", "another database has none");
}

#[test]
fn a_scan_has_a_time_limit_and_blocks_nobody() {
    let mut node = redis();
    let proxy = Proxy::serving(&node, |config| config.backend_timeout = Milliseconds::of(300));
    let (mut asker, mut other) = (proxy.connect(), proxy.connect());
    node.process().freeze().unwrap();
    asker.send(&[b"CLUSTER", b"COUNTKEYSINSLOT", b"1"]).unwrap();
    assert_eq!(ask(&mut other, "UMCTL GETEPOCH"), ":1", "the control thread goes on");
    let reply = asker.read().unwrap().error().unwrap();
    assert!(reply.contains("took longer than backend_timeout (300 ms)"), "{reply}");
    node.process().thaw().unwrap();
    asker.set_reply_limit(Duration::from_secs(10)).unwrap();
    assert_eq!(ask(&mut asker, "CLUSTER COUNTKEYSINSLOT 1"), ":0");
}

#[test]
fn a_proxy_without_a_cluster_has_no_keys() {
    let proxy = Proxy::start(|_| {});
    assert_eq!(ask(&mut proxy.connect(), "CLUSTER COUNTKEYSINSLOT 1"), ":0");
}
