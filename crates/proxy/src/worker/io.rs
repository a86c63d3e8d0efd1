//! Reading and writing one socket without waiting.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use proxy_core::engine::buffers::{OutQueue, SLICES_MAX};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, send, sendmsg};

/// How reading from a socket went.
pub(super) enum Read {
    /// How many bytes were read.
    Bytes(usize),
    /// There is nothing now.
    Nothing,
    /// The peer has sent everything.
    End,
    /// The connection is broken.
    Broken,
}

/// How writing to a socket went.
pub(super) enum Written {
    /// How many bytes the socket took, at least one.
    Bytes(usize),
    /// The socket takes nothing now; the event loop is told when it does.
    Nothing,
    /// The connection is broken.
    Broken,
}

/// Reads once.
#[inline]
pub(super) fn read(socket: &OwnedFd, space: &mut [u8]) -> Read {
    loop {
        return match recv(socket, &mut *space, RecvFlags::empty()) {
            Ok((0, _)) => Read::End,
            Ok((bytes, _)) => Read::Bytes(bytes),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Read::Nothing,
            Err(_) => Read::Broken,
        };
    }
}

/// How many bytes of what the peer has sent are still to be read: all that ever come of a peer that has sent its last.
pub(super) fn unread_bytes(socket: &OwnedFd) -> usize {
    rustix::io::ioctl_fionread(socket)
        .map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Writes once: all of a small queue, or the first pieces of a long one.
#[inline]
pub(super) fn write(socket: &OwnedFd, queue: &OutQueue) -> Written {
    loop {
        let outcome = match queue.as_single() {
            Some(bytes) => send(socket, bytes, SendFlags::NOSIGNAL),
            None => {
                let mut slices: [IoSlice<'_>; SLICES_MAX] = std::array::from_fn(|_| IoSlice::new(&[]));
                let used = queue.slices(&mut slices);
                sendmsg(socket, &slices[..used], &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
            }
        };
        return match outcome {
            Ok(bytes) => Written::Bytes(bytes),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Written::Nothing,
            Err(_) => Written::Broken,
        };
    }
}
