//! A node that knows a command which no built-in table has.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::fixture::{Proxy, ask, ask_until};

/// A node of the test's own: it says of itself what is needed, and answers `FROB` to everything else.
fn strange_node() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

/// One request at a time is all that the proxy's watch sends, and all that the test does.
fn answer(mut stream: TcpStream) {
    const FROB: &str = "*1\r\n*6\r\n$9\r\ntest.frob\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n";
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        let request = String::from_utf8_lossy(&buffer[..length]).to_uppercase();
        let reply = match request.split("\r\n").nth(2) {
            Some("INFO") => "$46\r\nredis_version:99.1.2\r\nloading:0\r\nrole:master\r\n\r\n",
            Some("CONFIG") => "-ERR unknown command 'CONFIG'\r\n",
            Some("COMMAND") => FROB,
            _ => "+FROB\r\n",
        };
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn its_command_is_learned_and_its_version_told() {
    let node = strange_node();
    let proxy = Proxy::start(|_| {});
    let mut client = proxy.connect();
    assert!(ask(&mut client, "TEST.FROB a").starts_with("-ERR unknown command"));
    let line = format!("UMCTL SETCLUSTER v2 1 NOFLAGS mydb {node} 1 0-16383");
    assert_eq!(ask(&mut client, &line), "OK");
    ask_until(&mut client, "TEST.FROB a", |reply| reply == "FROB");
    assert!(
        ask(&mut client, "TEST.FROB").starts_with("-ERR wrong number of arguments"),
        "its arity is known too"
    );
    ask_until(&mut client, "INFO server", |info| info.contains("redis_version:99.1.2\r\n"));
    assert_eq!(ask(&mut client, "SELECT 15"), "OK", "CONFIG is not there, so the proxy's own setting holds");
}
