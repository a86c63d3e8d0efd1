//! Connections of processes that are gone, which nodes on this host may still have something of in their sockets.
//!
//! A proxy is killed while one of its nodes hangs, and is started again. The node executes what the former process had sent
//! when it goes on, in whatever order it looks at its sockets. So the new process has each such connection closed before it
//! asks the node for anything, as it does with its own that it gives up. Ruled out, for a session of another proxy, which
//! lives on:
//! ```text
//!   SET k old ─▶ this proxy ─▶ the node hangs ─ this proxy is killed: an error ─ it is started again
//!   SET k new ─▶ the new process ─▶ the node: OK ─ the node reads k = old
//! ```
//! The kernel knows these connections: one end is closed, the other is open. It shows those of this network namespace.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use model::Address;
use proxy_core::engine::Abandonments;

/// Sockets of this network namespace (proc(5)).
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
/// States of sockets, as the tables write them: our end is closed and was not answered, or was.
const FIN_WAIT: [&str; 2] = ["04", "05"];
/// The other end is closed, and this one's process has not noticed, or has still to read.
const CLOSE_WAIT: &str = "08";
const LISTEN: &str = "0A";
/// Connections that are remembered; the list of all that were given up has room for many more.
const CONNECTIONS_MAX: usize = 4096;

/// One socket.
struct Socket<'a> {
    local: SocketAddr,
    remote: SocketAddr,
    state: &'a str,
}

/// Has nodes close what processes that are gone have left. To be called before anything is asked of a node.
pub(super) fn give_up(abandonments: &Abandonments) {
    let tables: Vec<String> = TABLES.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
    for (node, end) in left_behind(&tables) {
        if let Ok(node) = Address::new(&node.ip().to_string(), node.port()) {
            abandonments.add_former(node, end);
        }
    }
}

/// Connections to servers here that are closed at their client's end alone: the server's address and the client's.
fn left_behind(tables: &[String]) -> BTreeSet<(SocketAddr, SocketAddr)> {
    let sockets = || tables.iter().flat_map(|table| table.lines().filter_map(socket));
    let servers: BTreeSet<u16> =
        sockets().filter(|socket| socket.state == LISTEN).map(|socket| socket.local.port()).collect();
    let connection = |socket: Socket<'_>| match socket.state {
        state if FIN_WAIT.contains(&state) => Some((socket.remote, socket.local)),
        CLOSE_WAIT => Some((socket.local, socket.remote)),
        _ => None,
    };
    let connections = sockets().filter_map(connection).filter(|(server, _)| servers.contains(&server.port()));
    connections.take(CONNECTIONS_MAX).collect()
}

/// A line such as `0: 0100007F:1F90 0100007F:C350 08 …`; the first line has titles.
fn socket(line: &str) -> Option<Socket<'_>> {
    let mut words = line.split_ascii_whitespace().skip(1);
    Some(Socket { local: end(words.next()?)?, remote: end(words.next()?)?, state: words.next()? })
}

/// An address as the tables have it: words of 32 bits as they lie in memory, and the port.
fn end(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = ip.as_bytes().chunks(8).map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> =
        words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(&*bytes) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&*bytes).ok()?)),
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn addresses() {
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let (zero, mapped) = (word([0; 4]), word([0, 0, 0xff, 0xff]));
        let ipv4 = word([127, 0, 0, 1]);
        for (text, expected) in [
            (format!("{ipv4}:1F90"), Some("127.0.0.1:8080")),
            (format!("{zero}{zero}{mapped}{ipv4}:1F90"), Some("127.0.0.1:8080")),
            (format!("{zero}{zero}{zero}{}:0050", word([0, 0, 0, 1])), Some("[::1]:80")),
            (format!("{ipv4}{zero}:0050"), None),
            (ipv4.clone(), None),
            ("local_address".to_owned(), None),
        ] {
            assert_eq!(end(&text).map(|end| end.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_the_kernel_shows_of_a_client_that_is_gone() {
        let of = |listener: &TcpListener| {
            let server = listener.local_addr().unwrap();
            let tables: Vec<String> =
                TABLES.iter().filter_map(|table| fs::read_to_string(table).ok()).collect();
            let all = left_behind(&tables).into_iter();
            all.filter(|(other, _)| *other == server).map(|(_, end)| end).collect::<Vec<_>>()
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut clients = [(); 3].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        assert_eq!(of(&listener), []);
        let [little, much, stays] = &mut clients;
        little.write_all(b"PING\r\n").unwrap();
        // More than the server's socket takes: it is not told of the end before it reads.
        much.set_nonblocking(true).unwrap();
        while much.write(&[b'x'; 65_536]).is_ok() {}
        let mut gone = [&*little, &*much].map(|client| client.local_addr().unwrap());
        gone.sort_unstable();
        let stays = stays.try_clone().unwrap();
        drop(clients);
        assert_eq!(of(&listener), gone);
        drop(stays);
    }
}
