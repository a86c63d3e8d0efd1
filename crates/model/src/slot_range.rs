//! An unbroken run of slots, `a-b` on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decimal;
use crate::slot::Slot;

/// The slots from `first` to `last`, both included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Slot, Slot)", into = "(Slot, Slot)")]
pub struct SlotRange {
    first: Slot,
    last: Slot,
}

impl SlotRange {
    /// Every slot there is.
    pub const ALL: Self = Self { first: Slot::FIRST, last: Slot::LAST };

    /// The range between two slots, or `None` when `first` is after `last`.
    #[must_use]
    pub fn new(first: Slot, last: Slot) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The lowest slot of the range.
    #[must_use]
    pub const fn first(self) -> Slot {
        self.first
    }

    /// The highest slot of the range.
    #[must_use]
    pub const fn last(self) -> Slot {
        self.last
    }

    /// How many slots it has, at least one.
    #[must_use]
    pub const fn count(self) -> usize {
        self.last.index() - self.first.index() + 1
    }

    /// Whether the slot is in the range.
    #[must_use]
    pub fn contains(self, slot: Slot) -> bool {
        self.first <= slot && slot <= self.last
    }

    /// The slots that are in both, or `None` when there are none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// Each slot, lowest first.
    pub fn slots(self) -> impl DoubleEndedIterator<Item = Slot> {
        (self.first.number()..=self.last.number()).filter_map(Slot::new)
    }
}

impl From<Slot> for SlotRange {
    fn from(slot: Slot) -> Self {
        Self { first: slot, last: slot }
    }
}

impl From<SlotRange> for (Slot, Slot) {
    fn from(range: SlotRange) -> Self {
        (range.first, range.last)
    }
}

impl TryFrom<(Slot, Slot)> for SlotRange {
    type Error = SlotRangeError;

    fn try_from((first, last): (Slot, Slot)) -> Result<Self, SlotRangeError> {
        Self::new(first, last).ok_or(SlotRangeError)
    }
}

impl fmt::Display for SlotRange {
    /// `a-b`, and `a` alone for a single slot, as CLUSTER NODES writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// The text or pair is not a range of slots. The writer's fault; do not retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a slot range is 'a' or 'a-b' with 0 <= a <= b <= 16383")]
pub struct SlotRangeError;

impl FromStr for SlotRange {
    type Err = SlotRangeError;

    fn from_str(text: &str) -> Result<Self, SlotRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let slot = |number| {
            decimal::parse(number)
                .and_then(|n| u16::try_from(n).ok())
                .and_then(Slot::new)
                .ok_or(SlotRangeError)
        };
        Self::new(slot(first)?, slot(last)?).ok_or(SlotRangeError)
    }
}

#[cfg(test)]
mod tests {
    use super::{SlotRange, SlotRangeError};

    #[test]
    fn text_form() {
        let check = |text: &str, expected: Result<&str, SlotRangeError>| {
            let range: Result<SlotRange, _> = text.parse();
            assert_eq!(range.map(|r| r.to_string()).as_deref(), expected.as_ref().copied(), "{text:?}");
        };
        check("0-16383", Ok("0-16383"));
        check("7", Ok("7"));
        check("7-7", Ok("7"));
        check("8-7", Err(SlotRangeError));
        check("0-16384", Err(SlotRangeError));
        check("16384", Err(SlotRangeError));
        check("65536-65537", Err(SlotRangeError));
        check("", Err(SlotRangeError));
        check("-", Err(SlotRangeError));
        check("1-", Err(SlotRangeError));
        check("1-2-3", Err(SlotRangeError));
        check("+1-2", Err(SlotRangeError));
        check("a-b", Err(SlotRangeError));
    }
}
