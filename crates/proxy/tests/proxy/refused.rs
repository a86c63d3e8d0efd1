//! Clients that are refused while they are still sending, and clients that are killed.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::fixture::{LIMIT, Proxy, ask, redis};
use service::config::Bytes;
use testkit::connection::{Connection, ConnectionError};

/// Sends so many bytes after `header`, and gives what there is to read afterwards.
fn sends(proxy: &Proxy, header: &[u8], bytes: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(proxy.address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(header)?;
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..bytes.div_ceil(piece.len()) {
        stream.write_all(&piece)?;
    }
    let mut seen = String::new();
    stream.read_to_string(&mut seen)?;
    Ok(seen)
}

#[test]
fn a_client_that_is_still_sending_reads_why_it_is_refused() {
    let proxy = Proxy::start(|_| {});
    for (header, error) in [
        (&b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$629145600\r\n"[..], "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
    ] {
        let seen = sends(&proxy, header, 600 * 1024 * 1024).unwrap();
        assert!(seen.starts_with("-ERR Protocol error") && seen.contains(error), "{seen}");
    }
}

#[test]
fn a_client_that_does_not_read_is_killed_at_once() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut killer = proxy.connect();
    let value = vec![b'x'; 8 * 1024 * 1024];
    killer.call(&[b"SET", b"a", &value]).unwrap().expect_ok().unwrap();
    let mut victim = proxy.connect();
    let id = ask(&mut victim, "CLIENT ID");
    for _ in 0..16 {
        victim.send(&[b"GET", b"a"]).unwrap();
    }
    let id = id.trim_start_matches(':').to_owned();
    assert_eq!(ask(&mut killer, &format!("CLIENT KILL ID {id}")), ":1");
    let list = ask(&mut killer, "CLIENT LIST");
    assert!(!list.lines().any(|line| line.starts_with(&format!("id={id} "))), "{list}");
    // Who kills itself reads the reply first.
    let own = ask(&mut killer, "CLIENT ID").trim_start_matches(':').to_owned();
    assert_eq!(ask(&mut killer, &format!("CLIENT KILL ID {own} SKIPME no")), ":1");
    assert!(matches!(killer.read(), Err(ConnectionError::Closed { partial: 0 })));
}

#[test]
fn large_requests_of_several_parts_are_taken() {
    let node = redis();
    let proxy = Proxy::serving(&node, |config| {
        config.memory_max = Some(Bytes::of(1 << 30));
    });
    let mut client: Connection = proxy.connect();
    client.set_reply_limit(LIMIT * 3).unwrap();
    let value = vec![b'x'; 40 * 1024 * 1024];
    let mset: [&[u8]; 7] = [b"MSET", b"{a}1", &value, b"{a}2", &value, b"{a}3", &value];
    client.call(&mset).unwrap().expect_ok().unwrap();
    assert_eq!(ask(&mut client, "STRLEN {a}3"), ":41943040");
    let argument = vec![b'y'; 100 * 1024 * 1024];
    let reply = client.call(&[b"EVAL", b"return #ARGV[1]", b"1", b"{a}1", &argument]).unwrap();
    assert_eq!(crate::fixture::text(&reply), ":104857600");
}

#[test]
fn more_than_a_million_arguments_are_taken() {
    let node = redis();
    let proxy = Proxy::serving(&node, |_| {});
    let mut client = proxy.connect();
    client.set_reply_limit(LIMIT * 3).unwrap();
    let mut words: Vec<&[u8]> = vec![b"x"; 1_100_000];
    (words[0], words[1]) = (b"RPUSH", b"list");
    assert_eq!(crate::fixture::text(&client.call(&words).unwrap()), ":1099998");
}
