//! Replies: where one ends, and what is in it. Must not know to which request a reply belongs.

mod error;
mod header;
mod length;
mod scanner;
mod value;

pub use error::ReplyError;
pub use length::{is_error, is_push, reply_length};
pub use scanner::{ReplyScanner, ReplyStep};
pub use value::{VALUE_DEPTH_MAX, Value, parse_value};

#[cfg(test)]
mod tests;
