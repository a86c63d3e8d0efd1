//! Requests: from a client's bytes to the places of its arguments. Must not know what a command means.

mod bulk_length;
mod error;
mod inline;
mod limits;
mod parser;
mod span;

pub use bulk_length::bulk_length;
pub use error::ProtocolError;
pub use limits::RequestLimits;
pub use parser::{PendingBulk, RequestParser, RequestStep};
pub use span::Span;
