//! A client's connection from its beginning to its end.

mod lifecycle;

pub use self::lifecycle::SessionSketch;
