//! What can be wrong with a request, in Redis's words. The caller that gets one answers it and closes the
//! connection: where the next request begins is not known any more.

use std::fmt;

/// A request that cannot be read. The client's fault, and final for its connection.
///
/// `Display` gives Redis's text after `ERR Protocol error: `; see [`ProtocolError::reply`] for the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An argument that does not begin with `$`, but with this byte.
    #[error("expected '$', got '{}'", Shown(*.0))]
    ExpectedBulk(u8),
    /// The number of arguments is no number, or too large.
    #[error("invalid multibulk length")]
    ArrayLength,
    /// An argument's length is no number, negative or too large.
    #[error("invalid bulk length")]
    BulkLength,
    /// More arguments than a client may send before AUTH.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedArrayLength,
    /// A longer argument than a client may send before AUTH.
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// The line that holds the number of arguments does not end.
    #[error("too big mbulk count string")]
    ArrayHeaderTooLong,
    /// The line that holds an argument's length does not end.
    #[error("too big bulk count string")]
    BulkHeaderTooLong,
    /// An inline request that does not end.
    #[error("too big inline request")]
    InlineTooLong,
    /// A quote in an inline request that does not close, or closes in the middle of a word.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// A request of 4 GiB or more. Redis has no text for it: it drops such a client without a word, and far
    /// earlier (`client-query-buffer-limit`).
    #[error("too big request")]
    TooLong,
}

impl ProtocolError {
    /// Appends the error reply, byte for byte as Redis sends it.
    pub fn reply(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"-ERR Protocol error: ");
        match *self {
            // Redis copies the byte as it is, except for those that would end the line.
            Self::ExpectedBulk(byte) => {
                out.extend_from_slice(b"expected '$', got '");
                out.push(in_line(byte));
                out.push(b'\'');
            }
            other => out.extend_from_slice(other.to_string().as_bytes()),
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn in_line(byte: u8) -> u8 {
    if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }
}

/// One byte as text: as Redis shows it where it is printable ASCII, else escaped.
struct Shown(u8);

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match in_line(self.0) {
            byte @ b' '..=b'~' => write!(formatter, "{}", char::from(byte)),
            byte => write!(formatter, "\\x{byte:02x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProtocolError;

    /// The texts are those of redis-server 7.0.15 for requests that provoke them.
    #[track_caller]
    fn check(error: ProtocolError, text: &[u8]) {
        let mut reply = Vec::new();
        error.reply(&mut reply);
        let expected = [b"-ERR Protocol error: ", text, b"\r\n"].concat();
        assert_eq!(reply.escape_ascii().to_string(), expected.escape_ascii().to_string());
        let shown = error.to_string();
        assert_eq!(shown, text.escape_ascii().to_string().replace("\\'", "'"));
    }

    #[test]
    fn texts() {
        check(ProtocolError::ExpectedBulk(b'P'), b"expected '$', got 'P'");
        check(ProtocolError::ExpectedBulk(b'\r'), b"expected '$', got ' '");
        check(ProtocolError::ExpectedBulk(b'\n'), b"expected '$', got ' '");
        check(ProtocolError::ExpectedBulk(0xff), b"expected '$', got '\xff'");
        check(ProtocolError::ArrayLength, b"invalid multibulk length");
        check(ProtocolError::BulkLength, b"invalid bulk length");
        check(ProtocolError::UnauthenticatedArrayLength, b"unauthenticated multibulk length");
        check(ProtocolError::UnauthenticatedBulkLength, b"unauthenticated bulk length");
        check(ProtocolError::ArrayHeaderTooLong, b"too big mbulk count string");
        check(ProtocolError::BulkHeaderTooLong, b"too big bulk count string");
        check(ProtocolError::InlineTooLong, b"too big inline request");
        check(ProtocolError::UnbalancedQuotes, b"unbalanced quotes in request");
    }
}
