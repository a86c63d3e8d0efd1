//! Opening sockets: listeners that share a port, connections to nodes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use model::Address;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// As Redis's `tcp-keepalive`: after this much silence the kernel asks whether the peer is there. A dead peer is
/// noticed in about twice this.
const KEEPALIVE: Duration = Duration::from_secs(300);
/// Between two of those questions, of which [`KEEPALIVE_QUESTIONS`] may stay unanswered.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(100);
/// Questions that may stay unanswered.
const KEEPALIVE_QUESTIONS: u32 = 3;
/// The congestion control within one machine. Every Linux has it, and it never paces: what a system's default
/// may do for the sake of a network (BBR sends by a timer) only costs CPU where there is none.
const LOOPBACK_CONGESTION_CONTROL: &str = "reno";

/// A listener on `address` that shares its port with those of the other workers. What is accepted from it
/// inherits its options.
pub(super) fn listener(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    prepare(&socket, address)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// The address of a node that is named by its IP address; nothing for a host name, which has to be looked up.
pub(super) fn without_lookup(address: &Address) -> Option<SocketAddr> {
    let ip: IpAddr = address.host().parse().ok()?;
    Some(SocketAddr::new(ip, address.port()))
}

/// Begins to connect to a node; the event loop is told when that has ended.
pub(super) fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    prepare(&socket, address)?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Ok(socket.into())
        }
        Err(error) => Err(error),
    }
}

/// How a connection attempt ended.
pub(super) fn connect_outcome(socket: &OwnedFd) -> io::Result<()> {
    match SockRef::from(socket).take_error()? {
        None => Ok(()),
        Some(error) => Err(error),
    }
}

/// Whether a connection's peer is on this machine: both ends have the same address.
pub(super) fn is_near(socket: &OwnedFd) -> bool {
    let socket = SockRef::from(socket);
    let ip = |end: io::Result<SockAddr>| end.ok()?.as_socket().map(|end| end.ip());
    ip(socket.local_addr()).is_some_and(|local| ip(socket.peer_addr()) == Some(local))
}

/// Our end of a connection.
pub(super) fn end(socket: &OwnedFd) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}

/// Options that must be set before a connection stands: an accepted one inherits them from its listener, and pacing
/// once begun does not end with another congestion control.
fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.ip().is_loopback() {
        // Better, not needed: a system that refuses it is served all the same.
        let _ = rustix::net::sockopt::set_tcp_congestion(socket, LOOPBACK_CONGESTION_CONTROL);
    }
    socket.set_tcp_nodelay(true)?;
    // TCP_USER_TIMEOUT is deliberately absent: it would also end a client that lives and reads nothing for that time.
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_QUESTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_peer_is_noticed_in_ten_minutes() {
        let listener = listener(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        // What is accepted inherits what the listener has.
        let accepted = loop {
            match listener.accept() {
                Ok((accepted, _)) => break accepted,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        let silence = accepted.tcp_keepalive_time().unwrap();
        let interval = accepted.tcp_keepalive_interval().unwrap();
        let questions = accepted.tcp_keepalive_retries().unwrap();
        assert!(accepted.keepalive().unwrap());
        assert_eq!(silence + interval * questions, Duration::from_secs(600));
        drop(client);
    }
}
