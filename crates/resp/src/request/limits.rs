//! What a request may not exceed. The defaults are Redis's own.

use super::error::ProtocolError;

/// Redis's `proto-max-bulk-len`.
const BULK_BYTES_MAX: u32 = 512 * 1024 * 1024;
/// The most arguments of one request in Redis 7: what bounds a request is the memory that it takes.
const ARGS_MAX: u32 = i32::MAX as u32;
/// The longest inline request, and the longest header line, in Redis (`PROTO_INLINE_MAX_SIZE`).
const INLINE_BYTES_MAX: u32 = 64 * 1024;
/// The most arguments that Redis reads from a client that has not authenticated.
const UNAUTHENTICATED_ARGS_MAX: i64 = 10;
/// The longest argument that Redis reads from a client that has not authenticated.
const UNAUTHENTICATED_BULK_BYTES_MAX: i64 = 16384;

/// Limits on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The longest argument, in bytes.
    pub bulk_bytes_max: u32,
    /// The most arguments, the command's name included. Nothing is kept for an argument before it comes, so the
    /// caller's bound on a request's bytes bounds the memory for their places too.
    pub args_max: u32,
    /// The longest inline request and the longest header line, in bytes before the line's end. A header line
    /// may have 32 bytes even where this is less.
    pub inline_bytes_max: u32,
    /// Whether the stricter limits before AUTH hold as well: 10 arguments of at most 16384 bytes. They
    /// have error texts of their own.
    pub unauthenticated: bool,
}

impl RequestLimits {
    /// Redis's limits for a client that has authenticated, or need not.
    pub const AUTHENTICATED: Self = Self {
        bulk_bytes_max: BULK_BYTES_MAX,
        args_max: ARGS_MAX,
        inline_bytes_max: INLINE_BYTES_MAX,
        unauthenticated: false,
    };

    /// Redis's limits for a client that must authenticate first.
    pub const UNAUTHENTICATED: Self = Self { unauthenticated: true, ..Self::AUTHENTICATED };

    /// Checks the number of arguments, which is positive.
    #[inline]
    pub(super) fn check_args(&self, args: i64) -> Result<(), ProtocolError> {
        if self.unauthenticated && (UNAUTHENTICATED_ARGS_MAX + 1..=i64::from(ARGS_MAX)).contains(&args) {
            return Err(ProtocolError::UnauthenticatedArrayLength);
        }
        if args > i64::from(self.args_max) {
            return Err(ProtocolError::ArrayLength);
        }
        Ok(())
    }

    /// Checks the length of one argument.
    #[inline]
    pub(super) fn check_bulk(&self, bytes: i64) -> Result<(), ProtocolError> {
        if bytes < 0 || bytes > i64::from(self.bulk_bytes_max) {
            return Err(ProtocolError::BulkLength);
        }
        if self.unauthenticated && bytes > UNAUTHENTICATED_BULK_BYTES_MAX {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Ok(())
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::AUTHENTICATED
    }
}
