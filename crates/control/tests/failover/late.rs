//! A broker that was stopped does not do what it was asked before and meanwhile: whoever asked has given up.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use testkit::managed::ManagedCluster;
use testkit::wait::{Deadline, retry_until};

use crate::fixture::{CLUSTER, HEAL_LIMIT, staying};

/// How long the broker is stopped.
const STOPPED: Duration = Duration::from_secs(2);

fn request(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: broker\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn a_broker_that_was_stopped_does_nothing_late() {
    let mut cluster = ManagedCluster::with_cluster(&staying(4), CLUSTER, 4).unwrap();
    let address = cluster.brokers[0].address();
    // One connection that the broker knows already, one that it has not accepted when it goes on, and one of a caller who
    // has closed it meanwhile.
    let mut known = TcpStream::connect(address).unwrap();
    known.write_all(request("GET", "/api/v3/version").as_bytes()).unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut known, &mut byte).unwrap();
    cluster.brokers[0].process().freeze().unwrap();
    let delete = request("DELETE", &format!("/api/v3/clusters/meta/{CLUSTER}"));
    known.write_all(delete.as_bytes()).unwrap();
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.write_all(delete.as_bytes()).unwrap();
    let mut closed = TcpStream::connect(address).unwrap();
    closed.write_all(delete.as_bytes()).unwrap();
    drop(closed);
    std::thread::sleep(STOPPED);
    cluster.brokers[0].process().thaw().unwrap();
    // What is asked from now on is done, after what came before it.
    let name = CLUSTER.parse().unwrap();
    retry_until(Deadline::within(HEAL_LIMIT), "a change of the cluster", || {
        let fields = [("compression_strategy".to_owned(), "set_get_only".to_owned())].into();
        Ok(cluster.block_on(cluster.client().configure(&name, &fields))?)
    })
    .unwrap();
    assert!(cluster.state().unwrap().clusters.contains_key(&name), "the cluster was deleted late");
    // And they are told so, and may not go on over the same connection.
    for connection in [&mut known, &mut waiting] {
        connection.set_read_timeout(Some(HEAL_LIMIT)).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(connection, &mut text).unwrap();
        assert!(text.contains("503") && text.contains("STOOD_STILL"), "{text}");
    }
}
