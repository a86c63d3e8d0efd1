//! Values too large for one read, from a server on this machine.

use anyhow::ensure;
use testkit::connection::Connection;
use testkit::wait::{Deadline, retry_until};

use crate::fixture::{LIMIT, Proxy, redis};

/// Around everything that a size is compared with on its way: what streams, what is read at once.
const SIZES: [usize; 11] = [
    1,
    (32 << 10) - 1,
    (64 << 10) - 3,
    64 << 10,
    (80 << 10) + 1,
    (256 << 10) - 1,
    256 << 10,
    (320 << 10) + 5,
    1 << 20,
    (1 << 20) + 1,
    (3 << 20) + 7,
];

fn key(size: usize) -> String {
    format!("size:{size}")
}

/// A value that a shifted or repeated piece would spoil.
fn value(size: usize) -> Vec<u8> {
    (0..size as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Asks for everything at once, several times, and reads it all.
fn read_all(mut client: Connection, rounds: usize) {
    client.set_reply_limit(LIMIT).unwrap();
    for round in 0..rounds {
        let turned: Vec<usize> = SIZES.into_iter().cycle().skip(round).take(SIZES.len()).collect();
        for size in &turned {
            client.send(&[b"GET", key(*size).as_bytes()]).unwrap();
            client.send(&[b"STRLEN", key(*size).as_bytes()]).unwrap();
        }
        for size in &turned {
            let whole = [format!("${size}\r\n").as_bytes(), &value(*size), b"\r\n"].concat();
            assert!(client.read().unwrap().bytes() == whole, "round {round}, {size} bytes");
            assert_eq!(client.read().unwrap().integer().unwrap(), i64::try_from(*size).unwrap());
        }
    }
}

#[test]
fn values_of_any_size_pass_whole() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut writer = proxy.connect();
    for size in SIZES {
        writer.call(&[b"SET", key(size).as_bytes(), &value(size)]).unwrap().expect_ok().unwrap();
    }
    let readers: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
    let readers = readers.into_iter().map(|client| std::thread::spawn(move || read_all(client, SIZES.len())));
    for reader in readers.collect::<Vec<_>>() {
        reader.join().unwrap();
    }
}

#[test]
fn a_value_that_is_cut_short_ends_the_connection() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let size = 64 << 20;
    let mut client = proxy.connect();
    client.set_reply_limit(LIMIT).unwrap();
    let zeros = format!("SETRANGE large {} x", size - 1);
    assert_eq!(client.say(&zeros).unwrap().integer().unwrap(), size);
    client.send(&[b"GET", b"large"]).unwrap();
    // More than sockets and proxy hold is still to come when the node's side breaks.
    assert!(client.has_data(LIMIT).unwrap());
    node.connect().unwrap().say("CLIENT KILL TYPE normal").unwrap();
    let mut bytes = Vec::new();
    // Closed, with whatever error that is here.
    let _ = std::io::Read::read_to_end(&mut client.writer().unwrap(), &mut bytes);
    assert!(!bytes.is_empty() && bytes.len() < usize::try_from(size).unwrap(), "{} bytes", bytes.len());
    let again = || {
        ensure!(proxy.connect().say("STRLEN large")?.integer()? == size);
        Ok(())
    };
    retry_until(Deadline::within(LIMIT), "the node is reached again", again).unwrap();
}
