//! One of the 16384 slots, and which one a key belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crc16::crc16;

/// How many slots a cluster has. The Redis Cluster specification fixes it.
pub const SLOT_COUNT: usize = 16384;

/// A slot, 0 to 16383.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Slot(u16);

impl Slot {
    /// The lowest slot.
    pub const FIRST: Self = Self(0);
    /// The highest slot.
    pub const LAST: Self = Self(SLOT_COUNT as u16 - 1);

    /// The slot with that number, or `None` past the last one.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if (number as usize) < SLOT_COUNT { Some(Self(number)) } else { None }
    }

    /// The slot of a key: CRC16 of the key modulo 16384, or of its hash tag where it has one (what lies
    /// between the first `{` and the next `}`, unless that is empty). Redis Cluster specification,
    /// "Hash tags".
    #[must_use]
    #[inline]
    pub fn of_key(key: &[u8]) -> Self {
        let hashed = if may_have_tag(key) { tag_or_key(key) } else { key };
        Self(crc16(hashed) & Self::LAST.0)
    }

    /// The slot's number, for indexing tables of [`SLOT_COUNT`] entries.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The slot's number.
    #[must_use]
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The slot after this one, or `None` after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The slot before this one, or `None` before the first.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Slot> for u16 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

impl TryFrom<u16> for Slot {
    type Error = &'static str;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("a slot is a number from 0 to 16383")
    }
}

/// Whether `{` is anywhere in the key, eight bytes at a time and without a branch for each: nearly all
/// keys have none.
#[inline]
fn may_have_tag(key: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const BRACES: u64 = ONES * (b'{' as u64);

    let (words, rest) = key.as_chunks::<8>();
    let mut found = 0u64;
    for word in words {
        // A byte of `difference` is zero where the key has a brace. Subtracting one borrows into the high
        // bit of the lowest such byte, and that is the only way to set a high bit that was clear, except
        // above a true hit, where a false one does no harm.
        let difference = u64::from_le_bytes(*word) ^ BRACES;
        found |= difference.wrapping_sub(ONES) & !difference & HIGHS;
    }
    (found != 0) | rest.contains(&b'{')
}

#[cold]
fn tag_or_key(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let after = &key[open + 1..];
    match after.iter().position(|&byte| byte == b'}') {
        Some(close) if close > 0 => &after[..close],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::{SLOT_COUNT, Slot};

    #[test]
    fn slot_of_key() {
        let check = |key: &str, expected: u16| {
            assert_eq!(Slot::of_key(key.as_bytes()).number(), expected, "{key:?}");
        };
        // What CLUSTER KEYSLOT of a Redis 7.0 answers.
        check("", 0);
        check("a", 15495);
        check("b", 3300);
        check("foo", 12182);
        check("{foo}bar", 12182);
        check("a-long-prefix-{foo}-and-more", 12182);
        check("123456789", 12739);
        check("foo{}{bar}", 8363);
        check("foo{{bar}}zap", 4015);
        check("foo{bar}{zap}", 5061);
        check("}{", 12793);
    }

    #[test]
    fn bounds() {
        assert_eq!(Slot::new(16383), Some(Slot::LAST));
        assert_eq!(Slot::new(16384), None);
        assert_eq!(Slot::LAST.next(), None);
        assert_eq!(Slot::FIRST.previous(), None);
        assert_eq!(Slot::LAST.index() + 1, SLOT_COUNT);
    }
}
