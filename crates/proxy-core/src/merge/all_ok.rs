//! All must succeed and then say the same; the first speaks for all.

use super::parts::Mismatch;

/// The reply that all parts, which are successes, have in common.
pub(super) fn all_ok(parts: &[Vec<u8>]) -> Result<&[u8], Mismatch> {
    if parts.iter().all(|part| *part == parts[0]) { Ok(&parts[0]) } else { Err(Mismatch) }
}
