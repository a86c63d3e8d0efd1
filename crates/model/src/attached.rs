//! For how long a replica that has acknowledged counts as attached: a proxy serves by it, and a coordinator waits for it.

/// A primary whose replica has acknowledged within this time, in milliseconds, serves without a lease. A coordinator that
/// has had the replica let go waits for as long before it promotes anybody, so leases must not be shorter.
pub const ATTACHED_FOR_MS: u64 = 300;
