//! What can be wrong with a reply. The caller that gets one drops the connection to that server.

/// Bytes that are no reply. The server's fault, and final for its connection: where the next reply begins
/// is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A byte with which no reply begins.
    #[error("invalid reply: no type begins with byte {0:#04x}")]
    Marker(u8),
    /// A length or number of elements that is no number or out of bounds. RESP3's streamed types (`$?`,
    /// `*?`) are among them: Redis never sends any.
    #[error("invalid reply: bad length or number of elements")]
    Count,
    /// CR without LF after it, or a bulk that is not followed by CR LF.
    #[error("invalid reply: CR LF expected")]
    LineEnd,
    /// A number, boolean or null whose text is none; found only where values are read, not where replies
    /// are merely framed.
    #[error("invalid reply: bad text of a number, boolean or null")]
    Scalar,
    /// Nested deeper than [`VALUE_DEPTH_MAX`](crate::VALUE_DEPTH_MAX); found only where values are read.
    #[error("invalid reply: nested too deeply")]
    Depth,
}
