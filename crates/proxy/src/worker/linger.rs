//! Clients that were told why their connection ends, and may still be sending.
//!
//! A socket that is closed while bytes wait in it is reset, and a reset takes the error away that the client has not
//! read yet. So writing ends first, and what the client sends is thrown away until it closes.

use std::os::fd::OwnedFd;

use rustix::net::{Shutdown, shutdown};

use super::io::{self, Read};

/// A client has this long to read and close, µs.
const LINGER_US_MAX: u64 = 5_000_000;
/// Bytes of one client that are thrown away.
const LINGER_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Bytes of one client that are thrown away in one turn.
const LINGER_TURN_BYTES_MAX: usize = 1024 * 1024;
/// Clients of one worker that are waited for; others are closed at once.
const LINGERING_MAX: usize = 256;

/// A client's socket of which no more is wanted.
struct Lingering {
    socket: OwnedFd,
    until_us: u64,
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
    sockets: Vec<Lingering>,
    /// One of them had more than was thrown away in this turn.
    pub(super) is_behind: bool,
}

impl Linger {
    /// Has a client's socket closed once the client had time to read what was written.
    pub(super) fn add(&mut self, socket: OwnedFd, now_us: u64) {
        if self.sockets.len() < LINGERING_MAX && shutdown(&socket, Shutdown::Write).is_ok() {
            let until_us = now_us + LINGER_US_MAX;
            self.sockets.push(Lingering { socket, until_us, bytes_left: LINGER_BYTES_MAX });
            // What it has sent already is no longer told by the kernel.
            self.is_behind = true;
        }
    }

    /// Whether no client is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Throws away what came, reading it into `space`. To be called in each turn: the kernel wakes the worker when
    /// more comes.
    pub(super) fn drain(&mut self, space: &mut [u8], now_us: u64) {
        self.is_behind = false;
        self.sockets.retain_mut(|lingering| match lingering.throw_away(space) {
            Drained::Over => false,
            Drained::Empty => lingering.until_us > now_us,
            Drained::Partly => {
                self.is_behind = true;
                lingering.until_us > now_us
            }
        });
    }
}

impl Lingering {
    fn throw_away(&mut self, space: &mut [u8]) -> Drained {
        let mut taken = 0;
        while taken < LINGER_TURN_BYTES_MAX {
            match io::read(&self.socket, space) {
                Read::Bytes(bytes) => {
                    taken += bytes;
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
