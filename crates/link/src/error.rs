//! Why a question got no answer.

use std::io;

use resp::ReplyError;

/// Why a server gave no answer. The connection is of no use afterwards, except after `Refused`.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection, or it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its name stands for no address.
    #[error("its name cannot be resolved: {0}")]
    Unresolved(io::Error),
    /// Nothing came in time.
    #[error("no answer in time")]
    TimedOut,
    /// What came is no reply.
    #[error("it sent something that is not a reply: {0}")]
    Malformed(#[from] ReplyError),
    /// The reply is too long.
    #[error("its reply is longer than {0} bytes")]
    TooLong(usize),
    /// It answered with an error.
    #[error("it answered: {0}")]
    Refused(String),
    /// It answered with something of another kind than asked for.
    #[error("its answer lacks {0}")]
    Unexpected(&'static str),
}

/// Errors of the machine that asks: out of addresses, its interface down, or forbidden to connect. That a network cannot be
/// reached is none: a router on the way to a dead host says so, too.
const OWN_FAULTS: [io::ErrorKind; 3] =
    [io::ErrorKind::AddrNotAvailable, io::ErrorKind::NetworkDown, io::ErrorKind::PermissionDenied];
/// EMFILE and ENFILE of Linux: too many open files, of the process and of the machine. No kind stands for them.
const TOO_MANY_FILES: [i32; 2] = [24, 23];

impl LinkError {
    /// Whether the server may be as well as can be: it answered, though not what was asked for, or this side could not ask.
    /// What is no reply at all comes from another program in the server's place.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unexpected(_) | Self::Unresolved(_) => true,
            Self::TimedOut | Self::Malformed(_) | Self::TooLong(_) => false,
            Self::Io(error) => {
                let is_full = error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code));
                is_full || OWN_FAULTS.contains(&error.kind())
            }
        }
    }
}
