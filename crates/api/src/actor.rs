//! What a caller calls itself.

/// The header in which a caller says what it is; the events of its changes name it. It gives no right to anything.
pub const ACTOR_HEADER: &str = "x-undermoon-actor";
