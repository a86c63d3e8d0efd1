//! The form of the metadata, how far its epochs may go, and how much it remembers.

use model::Epoch;

/// The version of the metadata's form; a dump of another is refused.
pub const META_VERSION: &str = "undermoon-1";

/// The highest epoch that can be asked for: above it there is room for more changes than there will ever be.
pub const EPOCH_GIVEN_MAX: Epoch = Epoch(1 << 62);

/// How many nodes are remembered that went away with keys; then proxies that are not empty cannot be removed any more.
pub const UNCLEANED_NODES_MAX: usize = 1024;
