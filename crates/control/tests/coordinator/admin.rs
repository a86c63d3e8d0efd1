//! What an operator gets from a coordinator with redis-cli.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use service::config::Secret;

use crate::fixture::{Fixture, wait};

/// How long anything may take on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends lines, and QUIT after them, on a connection of their own; the replies begin as expected.
fn check(fixture: &Fixture, request: &str, expected: &str) {
    let address = fixture.config.address;
    wait(LIMIT, "it listens", || TcpStream::connect(address).is_ok());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(format!("{request}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with(expected), "{request}: {reply}");
    assert!(reply.ends_with("+OK\r\n"), "{request}: {reply}");
}

#[test]
fn answers_to_operators() {
    let fixture = Fixture::start(2, 0);
    let check = |request: &str, expected: &str| check(&fixture, request, expected);
    let reporter = fixture.config.reporter();
    check("PING", "+PONG\r\n+OK\r\n");
    // More connections that nobody uses than there is room for.
    let idle: Vec<_> = (0..70).map(|_| TcpStream::connect(fixture.config.address).unwrap()).collect();
    check("PING", "+PONG\r\n+OK\r\n");
    drop(idle);
    check("CONFIG GET brokers", "*2\r\n$7\r\nbrokers\r\n$14\r\n127.0.0.1:7799\r\n");
    check("*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$7\r\nbrokers", "*2\r\n$7\r\nbrokers\r\n");
    check(
        "config get reporter_id",
        &format!("*2\r\n$11\r\nreporter_id\r\n${}\r\n{reporter}\r\n", reporter.len()),
    );
    check("CONFIG GET *", "*4\r\n$7\r\nbrokers\r\n");
    check("CONFIG GET nothing", "*0\r\n");
    check("CONFIG SET brokers 10.0.0.1:7799,10.0.0.2:7799", "+OK\r\n");
    check("CONFIG SET brokers nowhere", "-ERR brokers: a list of host:port");
    check("CONFIG SET reporter_id x", "-ERR 'reporter_id' cannot be set");
    check("AUTH x", "-ERR AUTH was given");
    check("GET a", "-ERR unknown command 'get'");
}

#[test]
fn who_has_not_given_the_password_sets_nothing() {
    let fixture = Fixture::start_with(2, 0, |config| config.admin_password = Some(Secret::new("sesame")));
    let check = |request: &str, expected: &str| check(&fixture, request, expected);
    check("CONFIG SET brokers 10.0.0.9:7799", "-NOPERM CONFIG SET is for operators");
    check("AUTH open\r\nCONFIG SET brokers 10.0.0.9:7799", "-WRONGPASS invalid password\r\n-NOPERM");
    check("AUTH sesame\r\nCONFIG SET brokers 10.0.0.9:7799", "+OK\r\n+OK\r\n");
    check("AUTH default sesame\r\nPING", "+OK\r\n+PONG\r\n");
    // What only asks is open, as a health check needs it.
    check("PING", "+PONG\r\n");
    check("CONFIG GET brokers", "*2\r\n");
}

/// A browser sends what any web page tells it to, to any address.
#[test]
fn a_web_page_is_hung_up_on() {
    let fixture = Fixture::start(2, 0);
    let address = fixture.config.address;
    wait(LIMIT, "it listens", || TcpStream::connect(address).is_ok());
    for head in ["POST / HTTP/1.1\r\n", "Host: 127.0.0.1:7799\r\n", "post /x HTTP/1.0\r\n"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let body = "Content-Type: text/plain\r\n\r\nCONFIG SET brokers evil.example:80\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut reply = String::new();
        // It may be reset, because nobody reads what came after that.
        let _ = stream.read_to_string(&mut reply);
        assert_eq!(reply, "", "{head}");
    }
    check(&fixture, "CONFIG GET brokers", "*2\r\n$7\r\nbrokers\r\n$14\r\n127.0.0.1:7799\r\n");
}
