//! What a caller calls itself.

/// The header in which a caller says what it is; the events of its changes name it. It gives no right to anything.
pub const ACTOR_HEADER: &str = "x-undermoon-actor";

/// What a broker calls itself that gives its metadata to another. A broker that takes no copies knows it by this.
pub const COPIER: &str = "broker, which gives a copy";
