//! What a coordinator says when it reads the metadata.

/// The header in which a coordinator says with a reading which proxies have been silent, and since when; `none` where it
/// grants no lease by what it reads. A broker that does not know it passes over it.
pub const READING_HEADER: &str = "x-undermoon-reading";

/// Said in it with a call by which no lease is granted.
pub const GRANTS_NOTHING: &str = "none";
