//! Framing and encoding of the Redis protocol: RESP2, RESP3 and inline commands.
//!
//! Finds where requests and replies begin and end and what their arguments are, and writes both. It works
//! on bytes that the caller holds and copies none of them, except for inline requests, which it writes
//! again as arrays. It knows no sockets, clocks or commands, and it must never panic or allocate without
//! bound on bytes that a peer chose.
#![forbid(unsafe_code)]

mod count;
pub mod encode;
mod protocol;
mod reply;
mod request;

pub use protocol::Protocol;
pub use reply::{
    ReplyError, ReplyScanner, ReplyStep, VALUE_DEPTH_MAX, Value, is_error, is_push, parse_value, reply_length,
};
pub use request::{PendingBulk, ProtocolError, RequestLimits, RequestParser, RequestStep, Span, bulk_length};
