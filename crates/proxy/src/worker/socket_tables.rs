//! What a worker knows of each open socket besides what the engine knows of its connection.

use std::os::fd::OwnedFd;

use proxy_core::engine::{BackendId, SessionId};

/// A session's socket.
pub(super) struct SessionSocket {
    pub(super) id: SessionId,
    pub(super) socket: OwnedFd,
    /// Readable, but the engine does not want more now.
    pub(super) unread: bool,
    /// The client sends nothing any more.
    pub(super) ended: bool,
}

/// A backend's socket.
pub(super) struct BackendSocket {
    pub(super) id: BackendId,
    pub(super) socket: OwnedFd,
    pub(super) connected: bool,
    /// Readable, but the engine does not want more now.
    pub(super) unread: bool,
    /// The node is on this machine.
    pub(super) is_near: bool,
    /// How many bytes make the socket readable.
    pub(super) low_mark: usize,
}
