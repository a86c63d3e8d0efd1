//! The keys of a request: which arguments they are.
//!
//! Nothing is guessed: a request whose keys cannot be told is an error.

mod custom;
mod error;
mod positions;
mod spec_walk;

pub use custom::is_blocking_form;
pub use error::KeyError;
pub use positions::key_positions;
pub(super) use positions::{has_named_keys, named_keys};
