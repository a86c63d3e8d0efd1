//! Typed configuration from a TOML file and the environment.
//!
//! A role declares its settings once, with [`settings!`](crate::settings): name, type, default and meaning. From
//! that one declaration come the struct, its defaults, the reading of file and environment, the messages that
//! refuse a bad value, and the table that the documents are checked against. The order is: default, then the
//! file, then `UNDERMOON_<NAME>` in the environment.
//!
//! Nothing here reads the environment by itself: it is an argument, so that tests need not change it.

mod choice;
mod error;
mod field;
mod load;
mod quantity;
mod secret;
mod value;

pub use error::{ConfigError, Problem};
pub use field::{Configuration, Field, Settings};
pub use load::{Loaded, Origin, environment_name, load};
pub use quantity::{Bytes, Count, Microseconds, Milliseconds, Quantity, Unit};
pub use secret::Secret;
pub use toml::Value as TomlValue;
pub use value::{BadValue, Setting, nearest};
