//! Orders are for operators: a client's password is not enough.

use std::net::TcpStream;

use testkit::connection::Connection;
use testkit::wait::{Deadline, retry_until};

use proxy::config::ProxyConfig;
use service::config::Secret;

use crate::fixture::{LIMIT, Proxy, ask, redis};

/// A word that begins every refusal, and what it says to do.
const REFUSED: &str = " is for operators: give `control_password` with UMCTL AUTH first";

fn with_passwords(config: &mut ProxyConfig) {
    config.password = Some(Secret::new("a client's"));
    config.control_password = Some(Secret::new("an operator's"));
}

/// A client that has given its password.
fn client(proxy: &Proxy) -> Connection {
    let mut client = proxy.connect();
    client.call(&[b"AUTH", b"a client's"]).unwrap().expect_ok().unwrap();
    client
}

fn operator(proxy: &Proxy) -> Connection {
    let mut operator = proxy.connect();
    operator.call(&[b"UMCTL", b"AUTH", b"an operator's"]).unwrap().expect_ok().unwrap();
    operator
}

#[test]
fn a_clients_password_gives_no_orders() {
    let node = redis();
    let proxy = Proxy::start(with_passwords);
    let address = node.address();
    let mut client = client(&proxy);
    for (line, what) in [
        ("UMCTL SETREPL 1 NOFLAGS replica mydb 127.0.0.1:1 1 10.9.9.9:6379 10.9.9.9:5299", "UMCTL SETREPL"),
        ("UMCTL SETCLUSTER v2 1 NOFLAGS mydb 127.0.0.1:1 1 0-16383", "UMCTL SETCLUSTER"),
        ("UMCTL HEALTH LEASE someone-1 3600000", "UMCTL HEALTH LEASE"),
        ("UMCTL CLEAN 0", "UMCTL CLEAN"),
        ("UMCTL SHUTDOWN", "UMCTL SHUTDOWN"),
        ("UMCTL SLOWLOG RESET", "UMCTL SLOWLOG RESET"),
        ("SLOWLOG RESET", "SLOWLOG RESET"),
        ("CONFIG SET maxclients 1", "CONFIG SET"),
        ("CONFIG RESETSTAT", "CONFIG RESETSTAT"),
    ] {
        assert_eq!(ask(&mut client, line), format!("-NOPERM {what}{REFUSED}"));
    }
    // What only asks is open to clients.
    for line in ["UMCTL READY", "UMCTL GETEPOCH", "UMCTL INFO", "UMCTL HEALTH", "UMCTL HELP", "SLOWLOG GET"] {
        let reply = ask(&mut client, line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    assert_eq!(ask(&mut client, "UMCTL GETEPOCH"), ":0");
    for wrong in [&b"a client's"[..], b"", b"an operator's "] {
        let reply = client.call(&[b"UMCTL", b"AUTH", wrong]).unwrap();
        assert_eq!(reply.error().unwrap(), "WRONGPASS this is not the control password of this proxy");
    }
    // The same connection with the control password may.
    client.call(&[b"UMCTL", b"AUTH", b"an operator's"]).unwrap().expect_ok().unwrap();
    let view = format!("UMCTL SETCLUSTER v2 3 NOFLAGS mydb {address} 1 0-16383");
    assert_eq!(ask(&mut client, &view), "OK");
    assert_eq!(ask(&mut client, "CONFIG SET maxclients 100"), "OK");
    assert_eq!(ask(&mut client, "RESET"), "RESET");
    client.call(&[b"AUTH", b"a client's"]).unwrap().expect_ok().unwrap();
    assert_eq!(ask(&mut client, "CONFIG RESETSTAT"), format!("-NOPERM CONFIG RESETSTAT{REFUSED}"));
}

#[test]
fn an_operator_is_a_client_too_and_is_not_closed_by_one() {
    let node = redis();
    let proxy = Proxy::start(with_passwords);
    let mut operator = operator(&proxy);
    let view = format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {} 1 0-16383", node.address());
    assert_eq!(ask(&mut operator, &view), "OK");
    assert_eq!(ask(&mut operator, "SET a 1"), "OK");
    let mut client = client(&proxy);
    assert_eq!(ask(&mut client, "CLIENT KILL TYPE normal SKIPME yes"), ":0");
    assert_eq!(ask(&mut operator, "CLIENT KILL TYPE normal SKIPME yes"), ":1");
    assert_eq!(ask(&mut operator, "GET a"), "1");
}

#[test]
fn without_a_control_password_this_host_gives_orders() {
    let proxy = Proxy::start(|config| config.password = Some(Secret::new("a client's")));
    let mut client = client(&proxy);
    assert_eq!(ask(&mut client, "CONFIG SET maxclients 100"), "OK");
    let reply = ask(&mut client, "UMCTL AUTH anything");
    assert!(reply.starts_with("OK, but this proxy has no control_password"), "{reply}");
    let mut stranger = proxy.connect();
    ask(&mut stranger, "UMCTL AUTH anything");
    assert!(
        ask(&mut stranger, "UMCTL READY").starts_with("-NOAUTH"),
        "that is no way past the client's password"
    );
    let mut control = Connection::open(proxy.control).unwrap();
    assert_eq!(ask(&mut control, "UMCTL READY"), ":0");
}

#[test]
fn the_control_port_wants_the_control_password() {
    let proxy = Proxy::start(with_passwords);
    let mut control = Connection::open(proxy.control).unwrap();
    assert!(ask(&mut control, "UMCTL READY").starts_with("-NOAUTH"));
    assert!(control.call(&[b"AUTH", b"a client's"]).unwrap().error().unwrap().starts_with("WRONGPASS"));
    control.call(&[b"AUTH", b"an operator's"]).unwrap().expect_ok().unwrap();
    assert_eq!(ask(&mut control, "UMCTL READY"), ":0");
    assert_eq!(ask(&mut control, "PING"), "PONG");
    let view = "UMCTL SETCLUSTER v2 1 NOFLAGS mydb 127.0.0.1:1 1 0-16383 PEER".to_owned();
    assert_eq!(ask(&mut control, &view), "OK");
    let refused = "-ERR the control port knows AUTH, PING and UMCTL only; clients' commands go to the proxy's `address`";
    assert_eq!(ask(&mut control, "GET a"), refused);
    // Pipelines are answered in order, and a request may come in pieces.
    control.send_raw(b"UMCTL GETEPOCH\r\nPING\r\n*2\r\n$5\r\nUM").unwrap();
    assert_eq!(control.read().unwrap().integer().unwrap(), 1);
    assert_eq!(control.read().unwrap().text().unwrap(), "PONG");
    control.send_raw(b"CTL\r\n$8\r\nGETEPOCH\r\n").unwrap();
    assert_eq!(control.read().unwrap().integer().unwrap(), 1);
}

#[test]
fn strangers_take_no_place_of_an_operator() {
    let proxy = Proxy::start(with_passwords);
    let mut first = Connection::open(proxy.control).unwrap();
    first.call(&[b"AUTH", b"an operator's"]).unwrap().expect_ok().unwrap();
    let strangers: Vec<Connection> = (0..200).map(|_| Connection::open(proxy.control).unwrap()).collect();
    assert_eq!(ask(&mut first, "UMCTL READY"), ":0");
    // They are closed soon, and there is room for whoever knows the password.
    retry_until(Deadline::within(LIMIT), "an operator gets in", || {
        let mut operator = Connection::open(proxy.control)?;
        operator.call(&[b"AUTH", b"an operator's"])?.expect_ok()
    })
    .unwrap();
    drop(strangers);
}

#[test]
fn strangers_keep_no_operator_from_the_control_port() {
    let proxy = Proxy::start(with_passwords);
    // More than there are places for, and none of them ever says anything.
    let _silent: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(proxy.control).unwrap()).collect();
    let mut operator = Connection::open(proxy.control).unwrap();
    operator.call(&[b"AUTH", b"an operator's"]).unwrap().expect_ok().unwrap();
    // Who has given the password does not have to make room.
    let _more: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(proxy.control).unwrap()).collect();
    let mut second = Connection::open(proxy.control).unwrap();
    second.call(&[b"AUTH", b"an operator's"]).unwrap().expect_ok().unwrap();
    assert_eq!(ask(&mut operator, "UMCTL READY"), ":0");
}
