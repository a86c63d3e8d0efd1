//! A TCP relay between a client and a server that can be slow, cut the line, or tamper with replies.
//!
//! Tests use it for faults of the network and, tampering, to prove that a checker finds what it should find.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a relay's threads look at its switches.
const SWITCH_INTERVAL: Duration = Duration::from_millis(5);
/// Pieces that may be under way in one direction of one connection.
const PIECES_MAX: usize = 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// Changes one piece of what the server sends before it goes on to the client.
pub type Tamper = Arc<Mutex<dyn FnMut(&mut Vec<u8>) + Send>>;

/// A running relay; its connections end when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    switches: Arc<Switches>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Switches {
    over: AtomicBool,
    /// While set, connections are closed and new ones closed at once.
    cut: AtomicBool,
    /// While set, bytes are kept back: the peer seems silent, not gone.
    silent: AtomicBool,
    delay_us: AtomicU64,
}

impl Switches {
    fn on(switch: &AtomicBool) -> bool {
        switch.load(Ordering::Relaxed)
    }

    fn broken(&self) -> bool {
        Self::on(&self.over) || Self::on(&self.cut)
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.load(Ordering::Relaxed))
    }
}

impl Relay {
    /// Starts a relay to `target` that passes everything on unchanged.
    ///
    /// # Errors
    /// When no port can be opened.
    pub fn start(target: SocketAddr) -> Result<Self> {
        Self::tampering(target, |_| {})
    }

    /// Starts a relay whose replies go through `tamper`, piece by piece as they are read.
    ///
    /// # Errors
    /// When no port can be opened.
    pub fn tampering(target: SocketAddr, tamper: impl FnMut(&mut Vec<u8>) + Send + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("opening the relay's port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let switches = Arc::new(Switches::default());
        let seen = Arc::clone(&switches);
        let tamper: Tamper = Arc::new(Mutex::new(tamper));
        let acceptor = std::thread::spawn(move || accept(&listener, target, &seen, &tamper));
        Ok(Self { address, switches, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every byte arrives this much later, in both directions; throughput stays.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.switches.delay_us.store(micros, Ordering::Relaxed);
    }

    /// Closes every connection, and each new one at once, until [`mend`](Self::mend).
    pub fn cut(&self) {
        self.switches.cut.store(true, Ordering::Relaxed);
    }

    /// Keeps every byte back without closing anything, until [`mend`](Self::mend).
    pub fn silence(&self) {
        self.switches.silent.store(true, Ordering::Relaxed);
    }

    /// Ends [`cut`](Self::cut) and [`silence`](Self::silence).
    pub fn mend(&self) {
        self.switches.cut.store(false, Ordering::Relaxed);
        self.switches.silent.store(false, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.switches.over.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic there was already printed.
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, switches: &Arc<Switches>, tamper: &Tamper) {
    while !Switches::on(&switches.over) {
        match listener.accept() {
            // A client that is refused sees its connection closed.
            Ok((client, _)) if !switches.broken() => {
                let _ = join(&client, target, switches, tamper);
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(SWITCH_INTERVAL),
        }
    }
}

/// Starts the threads of one connection; they end by themselves when either side closes or the line is cut.
fn join(
    client: &TcpStream,
    target: SocketAddr,
    switches: &Arc<Switches>,
    tamper: &Tamper,
) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    let server = TcpStream::connect(target)?;
    let identity: Tamper = Arc::new(Mutex::new(|_: &mut Vec<u8>| {}));
    direction(client.try_clone()?, server.try_clone()?, switches, identity)?;
    direction(server, client.try_clone()?, switches, Arc::clone(tamper))
}

fn direction(
    from: TcpStream,
    to: TcpStream,
    switches: &Arc<Switches>,
    tamper: Tamper,
) -> std::io::Result<()> {
    from.set_read_timeout(Some(SWITCH_INTERVAL))?;
    to.set_nodelay(true)?;
    let (sender, receiver) = sync_channel(PIECES_MAX);
    let (reading, writing) = (Arc::clone(switches), Arc::clone(switches));
    std::thread::spawn(move || read_pieces(from, &reading, &tamper, &sender));
    std::thread::spawn(move || write_pieces(to, &writing, &receiver));
    Ok(())
}

fn read_pieces(
    mut from: TcpStream,
    switches: &Switches,
    tamper: &Tamper,
    sender: &SyncSender<(Instant, Vec<u8>)>,
) {
    let mut scratch = vec![0; PIECE_BYTES];
    while !switches.broken() {
        match from.read(&mut scratch) {
            Ok(0) => return,
            Ok(length) => {
                let mut piece = scratch[..length].to_vec();
                tamper.lock().unwrap_or_else(PoisonError::into_inner)(&mut piece);
                if sender.send((Instant::now() + switches.delay(), piece)).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
}

fn write_pieces(mut to: TcpStream, switches: &Switches, receiver: &Receiver<(Instant, Vec<u8>)>) {
    while let Ok((due, piece)) = receiver.recv() {
        while !switches.broken() && (Switches::on(&switches.silent) || Instant::now() < due) {
            let rest = due.saturating_duration_since(Instant::now());
            std::thread::sleep(if rest.is_zero() { SWITCH_INTERVAL } else { rest.min(SWITCH_INTERVAL) });
        }
        if switches.broken() {
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
        if to.write_all(&piece).is_err() {
            return;
        }
    }
    // The other side sends no more: say so, and let what flows the other way finish.
    let _ = to.shutdown(if switches.broken() { Shutdown::Both } else { Shutdown::Write });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Connection, ConnectionError};
    use crate::redis_server::{RedisOptions, RedisServer};
    use crate::wait::{Deadline, retry_until};

    fn server() -> RedisServer {
        RedisServer::start(RedisOptions::default()).unwrap()
    }

    #[test]
    fn it_passes_bytes_on_and_slows_them() {
        let server = server();
        let relay = Relay::start(server.address()).unwrap();
        let mut connection = Connection::open(relay.address()).unwrap();
        let big = vec![b'x'; 1_000_000];
        connection.call(&[b"SET", b"a", &big]).unwrap().expect_ok().unwrap();
        assert_eq!(connection.say("STRLEN a").unwrap().integer().unwrap(), 1_000_000);

        relay.delay(Duration::from_millis(30));
        let start = Instant::now();
        connection.say("PING").unwrap();
        assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
    }

    #[test]
    fn a_cut_closes_and_a_mended_line_works_again() {
        let server = server();
        let relay = Relay::start(server.address()).unwrap();
        let mut connection = Connection::open(relay.address()).unwrap();
        connection.say("PING").unwrap();
        relay.cut();
        let error = connection.read().expect_err("must be closed");
        assert!(matches!(error, ConnectionError::Closed { .. }), "{error}");
        relay.mend();
        retry_until(Deadline::within(Duration::from_secs(5)), "the relay works again", || {
            Ok(Connection::open(relay.address())?.say("PING")?)
        })
        .unwrap();
    }

    #[test]
    fn silence_keeps_bytes_back_and_loses_none() {
        let server = server();
        let relay = Relay::start(server.address()).unwrap();
        let mut connection = Connection::open(relay.address()).unwrap();
        connection.say("PING").unwrap();
        relay.silence();
        connection.send_raw(b"PING\r\n").unwrap();
        assert!(!connection.has_data(Duration::from_millis(50)).unwrap());
        relay.mend();
        assert_eq!(connection.read().unwrap().text().unwrap(), "PONG");
    }
}
