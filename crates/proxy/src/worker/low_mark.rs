//! The receive low-water mark of a socket: how many bytes make it readable. No crate that is kept up offers it safely.
//!
//! A node writes a large reply in one call. Woken by its first bytes, a worker would read small pieces while the node's
//! kernel still writes, and the two get into each other's way: with values of 1 MiB that cost Redis a fifth more CPU.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Has the kernel call a socket readable when `bytes` bytes are there, the peer has sent its last, or its window is full.
///
/// # Errors
/// Of `setsockopt`: none that a TCP socket gives on Linux.
#[expect(
    unsafe_code,
    reason = "nothing safe sets SO_RCVLOWAT, and without it values of 1 MiB cost Redis more CPU"
)]
pub(super) fn set(socket: &OwnedFd, bytes: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `size` bytes at the pointer, all
    // of them of `value`, which lives until the call is over, and keeps no pointer to it.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast(),
            size,
        )
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// Two ends of a connection.
    fn pair() -> (OwnedFd, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0.into(), writer)
    }

    fn is_readable(socket: &OwnedFd, within: Duration) -> bool {
        let limit = Timespec::try_from(within).unwrap();
        poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)).unwrap() == 1
    }

    const SOON: Duration = Duration::from_millis(50);
    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn a_socket_is_readable_from_its_mark_on() {
        let (reader, mut writer) = pair();
        set(&reader, 1000).unwrap();
        writer.write_all(&[0; 999]).unwrap();
        assert!(!is_readable(&reader, SOON));
        writer.write_all(&[0]).unwrap();
        assert!(is_readable(&reader, LIMIT));
        set(&reader, 2000).unwrap();
        assert!(!is_readable(&reader, SOON));
        // Lowered below what is there.
        set(&reader, 1).unwrap();
        assert!(is_readable(&reader, LIMIT));
    }

    #[test]
    fn what_comes_last_is_never_kept_back() {
        let (reader, mut writer) = pair();
        set(&reader, 1000).unwrap();
        writer.write_all(b"x").unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
        assert!(is_readable(&reader, LIMIT));
    }
}
