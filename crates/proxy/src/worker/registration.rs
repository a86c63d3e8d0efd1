//! Which sockets the kernel tells a worker of, and the number by which it tells them apart.
//!
//! Every connection is registered once, edge-triggered, for reading and writing.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use proxy_core::engine::{BackendId, SessionId};
use proxy_core::face::Face;
use rustix::event::epoll;

use super::mailbox::Inbox;
use super::sockets;
use super::start::FaceAddresses;
use crate::RunError;

/// The number of the primary face's listener.
pub(super) const LISTENER: u64 = u64::MAX;
/// The number of the replica face's listener.
pub(super) const REPLICA_LISTENER: u64 = u64::MAX - 2;
/// The mailbox's number.
pub(super) const MAILBOX: u64 = u64::MAX - 1;
/// The bit that tells backends from sessions. Names have 63 bits.
const BACKEND: u64 = 1 << 63;

/// A connection that the kernel or the engine tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// To a client.
    Session(SessionId),
    /// To a node.
    Backend(BackendId),
}

impl Source {
    /// The number by which the kernel tells of it.
    pub(super) fn number(self) -> u64 {
        match self {
            Source::Session(id) => id.number(),
            Source::Backend(id) => id.number() | BACKEND,
        }
    }
}

/// Whether a number, if it is neither a listener's nor the mailbox's, is that of a backend.
#[inline]
pub(super) fn is_backend(number: u64) -> bool {
    number & BACKEND != 0
}

/// The index of the connection with that number, for the tables of sockets.
#[inline]
pub(super) fn index_of(number: u64) -> usize {
    number as u32 as usize
}

/// Has the kernel tell of everything that happens on a connection.
pub(super) fn register(epoll: &OwnedFd, socket: &OwnedFd, number: u64) -> rustix::io::Result<()> {
    let flags =
        epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
    epoll::add(epoll, socket, epoll::EventData::new_u64(number), flags)
}

/// A worker's listeners, by face.
#[derive(Debug)]
pub(super) struct Listeners {
    primary: socket2::Socket,
    replica: Option<socket2::Socket>,
}

impl Listeners {
    /// The one of a face.
    pub(super) fn at(&self, face: Face) -> Option<&socket2::Socket> {
        match face {
            Face::Primary => Some(&self.primary),
            Face::Replica => self.replica.as_ref(),
        }
    }
}

/// What a worker needs of the system before its thread starts, so that the starter of the thread learns of a failure.
pub(super) struct Bound {
    pub(super) epoll: OwnedFd,
    pub(super) listeners: Listeners,
    pub(super) address: SocketAddr,
}

impl Bound {
    /// Binds the listeners and registers them, and the mailbox, with an epoll instance.
    pub(super) fn new(addresses: FaceAddresses, inbox: &Inbox) -> Result<Bound, RunError> {
        let bind = |address| sockets::listener(address).map_err(|error| RunError::Listen(address, error));
        let (primary, replica) = (bind(addresses.primary)?, addresses.replica.map(bind).transpose()?);
        let local = primary.local_addr().map_err(RunError::system("asking for a listener's address"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| RunError::system("making an epoll instance")(error.into()))?;
        let replica_face = replica.as_ref().map(|listener| (listener.as_fd(), REPLICA_LISTENER));
        let usual = [(primary.as_fd(), LISTENER), (inbox.wake.as_fd(), MAILBOX)];
        for (socket, token) in usual.into_iter().chain(replica_face) {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
                .map_err(|error| RunError::system("registering with epoll")(error.into()))?;
        }
        let address = local.as_socket().unwrap_or(addresses.primary);
        Ok(Bound { epoll, listeners: Listeners { primary, replica }, address })
    }
}
