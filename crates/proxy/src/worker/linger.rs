//! Clients that were told why their connection ends, and may still be sending.
//!
//! A socket that is closed while bytes wait in it is reset, and a reset takes the error away that the client has not
//! read yet. So writing ends first, and what the client sends is thrown away until it closes.
//!
//! Only those sockets are read of which the kernel has told: clients that stay and say nothing cost a turn nothing.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;

use rustix::net::{Shutdown, shutdown};

use super::io::{self, Read};

/// A client has this long to read and close, µs.
const LINGER_US_MAX: u64 = 5_000_000;
/// Bytes of one client that are thrown away.
const LINGER_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Bytes of all these clients that are thrown away in one turn, and a read more.
const LINGER_TURN_BYTES_MAX: usize = 1024 * 1024;
/// Clients of one worker that are waited for; others are closed at once.
const LINGERING_MAX: usize = 256;

/// A client's socket of which no more is wanted.
struct Lingering {
    socket: OwnedFd,
    bytes_left: usize,
}

/// What became of a socket in one turn.
enum Drained {
    /// It had nothing more.
    Empty,
    /// It had more than a turn allows.
    Partly,
    /// It is to be closed.
    Over,
}

/// All of one worker's.
#[derive(Default)]
pub(super) struct Linger {
    /// By the number by which the kernel tells of them.
    sockets: HashMap<u64, Lingering>,
    /// When each is closed, the next one first; some are closed already.
    deadlines: VecDeque<(u64, u64)>,
    /// Those that may have something to be thrown away, the next one first.
    ready: VecDeque<u64>,
}

impl Linger {
    /// Has a client's socket closed once the client had time to read what was written. The kernel tells of it by this
    /// number; of what it has sent already it tells no more.
    pub(super) fn add(&mut self, number: u64, socket: OwnedFd, now_us: u64) {
        if self.sockets.len() < LINGERING_MAX && shutdown(&socket, Shutdown::Write).is_ok() {
            self.sockets.insert(number, Lingering { socket, bytes_left: LINGER_BYTES_MAX });
            self.deadlines.push_back((now_us + LINGER_US_MAX, number));
            self.ready.push_back(number);
        }
    }

    /// The kernel told of a socket with this number; perhaps of none of these.
    pub(super) fn told(&mut self, number: u64) {
        if self.sockets.contains_key(&number) && !self.ready.contains(&number) {
            self.ready.push_back(number);
        }
    }

    /// Whether no client is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.deadlines.is_empty()
    }

    /// Whether one of them may have more than was thrown away in this turn.
    #[inline]
    pub(super) fn is_behind(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Throws away what came, as far as one turn allows, reading it into `space`, and closes whose time is over. To be
    /// called in each turn. How many sockets were looked at.
    pub(super) fn drain(&mut self, space: &mut [u8], now_us: u64) -> usize {
        let (mut looked_at, mut bytes_left) = (0, LINGER_TURN_BYTES_MAX);
        while bytes_left > 0
            && let Some(number) = self.ready.pop_front()
        {
            let Some(lingering) = self.sockets.get_mut(&number) else { continue };
            looked_at += 1;
            match lingering.throw_away(&mut bytes_left, space) {
                Drained::Empty => {}
                Drained::Partly => self.ready.push_back(number),
                Drained::Over => _ = self.sockets.remove(&number),
            }
        }
        while let Some((_, number)) = self.deadlines.pop_front_if(|(until_us, _)| *until_us <= now_us) {
            self.sockets.remove(&number);
        }
        looked_at
    }
}

impl Lingering {
    /// Reads until nothing is left, or as many bytes as are `left` to the turn.
    fn throw_away(&mut self, left: &mut usize, space: &mut [u8]) -> Drained {
        while *left > 0 {
            match io::read(&self.socket, space) {
                Read::Bytes(bytes) => {
                    *left = left.saturating_sub(bytes);
                    self.bytes_left = self.bytes_left.saturating_sub(bytes);
                    if self.bytes_left == 0 {
                        return Drained::Over;
                    }
                }
                Read::Nothing => return Drained::Empty,
                Read::End | Read::Broken => return Drained::Over,
            }
        }
        Drained::Partly
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Clients that were refused, and what lingers of them.
    fn refused(clients: u64) -> (Vec<UnixStream>, Linger) {
        let mut linger = Linger::default();
        let add = |number| {
            let (client, ours) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            client.set_nonblocking(true).unwrap();
            linger.add(number, ours.into(), 0);
            client
        };
        ((0..clients).map(add).collect(), linger)
    }

    fn is_open(client: &mut UnixStream) -> bool {
        client.write(b"x").is_ok()
    }

    #[test]
    fn who_stays_and_says_nothing_is_not_looked_at() {
        let mut space = [0; 4096];
        let (mut clients, mut linger) = refused(100);
        assert_eq!(linger.drain(&mut space, 0), 100);
        assert!(!linger.is_behind());
        assert_eq!(linger.drain(&mut space, 1), 0);
        clients[7].write_all(b"more").unwrap();
        linger.told(7);
        linger.told(7);
        linger.told(1_000);
        assert_eq!(linger.drain(&mut space, 2), 1);
        linger.drain(&mut space, LINGER_US_MAX - 1);
        assert!(clients.iter_mut().all(is_open));
        linger.drain(&mut space, LINGER_US_MAX);
        assert!(!clients.iter_mut().any(is_open));
        assert!(linger.sockets.is_empty() && linger.deadlines.is_empty());
    }

    #[test]
    fn who_sends_much_leaves_others_their_turn_and_who_ends_is_closed() {
        const READ_BYTES: usize = 64 * 1024;
        let mut space = vec![0; READ_BYTES];
        let (mut clients, mut linger) = refused(2);
        linger.drain(&mut space, 0);
        // More than a turn allows cannot wait in such a socket: several turns are played with what fits.
        let wrote = clients[0].write(&vec![0; READ_BYTES]).unwrap();
        assert!(wrote > 0);
        let mut left = 1;
        let first = linger.sockets.get_mut(&0).unwrap();
        assert!(matches!(first.throw_away(&mut left, &mut space), Drained::Partly));
        assert!(matches!(first.throw_away(&mut READ_BYTES.clone(), &mut space), Drained::Empty));
        assert_eq!(first.bytes_left, LINGER_BYTES_MAX - wrote);
        drop(clients.remove(1));
        linger.told(1);
        linger.drain(&mut space, 1);
        assert!(linger.sockets.contains_key(&0) && !linger.sockets.contains_key(&1));
    }
}
