//! Numbers that nobody has to guess: jitter, and the choice of a victim.

/// A xorshift generator. It is not fit for secrets.
#[derive(Debug)]
pub(in crate::engine) struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub(in crate::engine) fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    /// The next number.
    pub(in crate::engine) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
