//! Why a question got no answer: what failed, at which address, and whose fault it is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use resp::{ReplyError, VALUE_DEPTH_MAX};

/// Why a server gave no answer. A connection is of no use afterwards, except after `Refused`,
/// `Unexpected` and `TooDeep`.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The name of the server leads to no address. Its user should look at the name and at the resolver of this machine.
    #[error("the name {host} cannot be resolved: {source}")]
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection was made: nobody listens there, the network does not lead there, or this machine is out of files.
    #[error("no connection to {at}: {source}")]
    Unreachable {
        /// The last address that was tried.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server did not take the connection, or did not answer, in time. It may do so later.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection broke.
    #[error("the connection to {at} broke: {source}")]
    Broken {
        /// The server's end.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server closed the connection before its reply was whole. It may have ended, or have limits.
    #[error("{at} closed the connection")]
    Closed {
        /// The server's end.
        at: SocketAddr,
    },
    /// What came is no reply: another program may have the server's port.
    #[error("{at} sent something that is not a reply: {source}")]
    Malformed {
        /// The server's end.
        at: SocketAddr,
        /// What is wrong with it.
        source: ReplyError,
    },
    /// The reply is too long. Nothing more of it was read.
    #[error("{at} sends a reply of more than {bytes_max} bytes")]
    TooLong {
        /// The server's end.
        at: SocketAddr,
        /// How long a reply may be.
        bytes_max: usize,
    },
    /// The reply is nested too deeply to be looked at.
    #[error("its answer is nested more than {VALUE_DEPTH_MAX} levels deep")]
    TooDeep,
    /// An earlier question on this connection has no answer, or something came that nobody asked for. So the next reply
    /// could belong to another question. The question was not sent: connect again.
    #[error("the connection to {at} is out of step: questions and replies no longer belong together")]
    OutOfStep {
        /// The server's end.
        at: SocketAddr,
    },
    /// The server answered with an error, which is this text.
    #[error("it answered: {0}")]
    Refused(String),
    /// The server answered with something of another kind than asked for.
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
            Self::Refused(_) | Self::Unexpected(_) | Self::Unresolved { .. } | Self::OutOfStep { .. } => true,
            Self::TimedOut(_)
            | Self::Closed { .. }
            | Self::Malformed { .. }
            | Self::TooLong { .. }
            | Self::TooDeep => false,
            Self::Unreachable { source, .. } | Self::Broken { source, .. } => {
                let is_full = source.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code));
                is_full || OWN_FAULTS.contains(&source.kind())
            }
        }
    }
}
