//! Connections accepted, or refused where there are too many.
//!
//! Clients leave a reserve of descriptors ([`open_files`]), so accepting fails for want of one only where something other
//! than clients has used up the reserve. For that case there is a spare descriptor.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;

use proxy_core::face::Face;
use proxy_core::profile::Profile;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use tracing::warn;

use super::event_loop::EventLoop;
use super::registration::{LISTENER, REPLICA_LISTENER, Source, register};
use super::socket_tables::SessionSocket;
use crate::open_files;

/// Connections accepted in one turn.
const ACCEPTS_PER_TURN_MAX: usize = 256;

/// Between two warnings that connections cannot be accepted, µs.
const WARNING_INTERVAL_US: u64 = 1_000_000;

/// What became of a connection that there is no descriptor for.
enum Refused {
    /// A client was told.
    One,
    /// No client waits.
    Nobody,
    /// There is no spare descriptor, or accepting fails for another reason.
    CannotBe,
}

impl EventLoop {
    pub(super) fn accept(&mut self, face: Face) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(listener) = self.listeners.as_ref().and_then(|listeners| listeners.at(face)) else {
                return;
            };
            match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, peer)) => {
                    self.welcome(socket, face, peer.and_then(|peer| SocketAddr::try_from(peer).ok()));
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    self.warn_of_accepting(error);
                    let refused = match error {
                        Errno::MFILE => self.refuse_with_spare(face),
                        _ => Refused::CannotBe,
                    };
                    match refused {
                        Refused::One => {}
                        Refused::Nobody => return,
                        Refused::CannotBe => return self.rest_from_accepting(),
                    }
                }
            }
        }
    }

    fn warn_of_accepting(&mut self, error: Errno) {
        if self.now.us >= self.spare.next_warning_us {
            self.spare.next_warning_us = self.now.us + WARNING_INTERVAL_US;
            warn!(worker = self.index, %error, "cannot accept connections");
        }
    }

    /// Accepts a connection in the place of the spare descriptor, tells the client why it is refused, and closes it.
    /// The kernel looks for a descriptor before it looks for a connection, so there may be none.
    fn refuse_with_spare(&mut self, face: Face) -> Refused {
        if !self.spare.give_up() {
            return Refused::CannotBe;
        }
        let listener = self.listeners.as_ref().and_then(|listeners| listeners.at(face));
        let accepted =
            listener.map(|listener| acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC));
        let refused = match accepted {
            Some(Ok((socket, _))) => {
                self.refuse(&socket);
                Refused::One
            }
            Some(Err(Errno::AGAIN)) => Refused::Nobody,
            Some(Err(_)) | None => Refused::CannotBe,
        };
        if self.spare.take_back() { refused } else { Refused::CannotBe }
    }

    /// A listener that cannot be served would wake the worker without end: it is not watched until the next tick.
    fn rest_from_accepting(&mut self) {
        self.spare.rests = self.watch_listener(epoll::EventFlags::empty());
    }

    /// Looks for connections again after a rest. To be called with each tick.
    pub(super) fn accept_again(&mut self) {
        if self.spare.rests {
            self.spare.rests = false;
            self.spare.take_back();
            self.watch_listener(epoll::EventFlags::IN);
        }
    }

    fn watch_listener(&self, flags: epoll::EventFlags) -> bool {
        let Some(listeners) = &self.listeners else { return false };
        let watch = |face, number| match listeners.at(face) {
            Some(listener) => {
                epoll::modify(&self.epoll, listener, epoll::EventData::new_u64(number), flags).is_ok()
            }
            None => true,
        };
        watch(Face::Primary, LISTENER) && watch(Face::Replica, REPLICA_LISTENER)
    }

    fn refuse(&self, socket: &OwnedFd) {
        self.stats.sessions_rejected.increment();
        let mut refusal = Vec::new();
        proxy_core::errors::write(&mut refusal, proxy_core::errors::MAX_CLIENTS);
        let _ = rustix::net::send(socket, &refusal, rustix::net::SendFlags::NOSIGNAL);
    }

    fn welcome(&mut self, socket: OwnedFd, face: Face, peer: Option<SocketAddr>) {
        if !open_files::is_for_clients(socket.as_raw_fd()) {
            self.warn_of_accepting(Errno::MFILE);
            return self.refuse(&socket);
        }
        if self.totals.sessions.fetch_add(1, Ordering::Relaxed) >= self.maxclients {
            self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
            return self.refuse(&socket);
        }
        let local = getsockname(&socket).ok().and_then(|name| SocketAddr::try_from(name).ok());
        let client = self.totals.last_client_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (peer, local) = (peer.unwrap_or(self.address), local.unwrap_or(self.address));
        let (peer, local) = (canonical(peer), canonical(local));
        let mut profile = Profile::new(client, peer, local, self.now.unix_us / 1000);
        profile.authenticated = self.authenticated;
        profile.fd = socket.as_raw_fd();
        profile.face = face;
        let id = self.engine.accept(profile);
        if let Err(error) = register(&self.epoll, &socket, Source::Session(id).number()) {
            warn!(worker = self.index, %error, "cannot watch a connection");
            self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
            return self.engine.session_closed(id);
        }
        self.stats.sessions.increment();
        self.stats.sessions_accepted.increment();
        if self.sessions.len() <= id.index() {
            self.sessions.resize_with(id.index() + 1, || None);
        }
        self.sessions[id.index()] = Some(SessionSocket { id, socket, unread: false, ended: false });
    }
}

/// An IPv4 address as such, where the listener is for IPv6 too: so its client knows it and names it, in CLIENT KILL as well.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
