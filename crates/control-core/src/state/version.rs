//! The form of the metadata, and how far its epochs may go.

use model::Epoch;

/// The version of the metadata's form; a dump of another is refused.
pub const META_VERSION: &str = "undermoon-1";

/// The highest epoch that can be asked for: above it there is room for more changes than there will ever be.
pub const EPOCH_GIVEN_MAX: Epoch = Epoch(1 << 62);
