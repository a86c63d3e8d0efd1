//! The documents of which the stored metadata consists.

use std::collections::BTreeMap;

/// Names one of the fixed set of documents of which the stored metadata consists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartKey(pub(crate) String);

/// Documents by their keys.
pub type Parts = BTreeMap<PartKey, Vec<u8>>;
