//! A set of slots, kept as the fewest sorted ranges.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::slot::Slot;
use crate::slot_range::{SlotRange, SlotRangeError};

/// A set of slots. The ranges are sorted, do not overlap and do not touch, so that equal sets are equal
/// values and print alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<SlotRange>", into = "Vec<SlotRange>")]
pub struct SlotRanges {
    ranges: Vec<SlotRange>,
}

impl SlotRanges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Every slot.
    #[must_use]
    pub fn all() -> Self {
        SlotRange::ALL.into()
    }

    /// The set of those ranges; when two of them overlap, the first slot that both have.
    pub fn from_disjoint(mut ranges: Vec<SlotRange>) -> Result<Self, Slot> {
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            if let Some(common) = pair[0].intersection(pair[1]) {
                return Err(common.first());
            }
        }
        Ok(ranges.into())
    }

    /// Whether there is no slot in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many slots it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ranges.iter().map(|range| range.count()).sum()
    }

    /// The ranges, sorted.
    #[must_use]
    pub fn ranges(&self) -> &[SlotRange] {
        &self.ranges
    }

    /// The ranges, sorted.
    pub fn iter(&self) -> std::iter::Copied<std::slice::Iter<'_, SlotRange>> {
        self.ranges.iter().copied()
    }

    /// Each slot, lowest first.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = Slot> {
        self.iter().flat_map(SlotRange::slots)
    }

    /// Whether the slot is in it.
    #[must_use]
    pub fn contains(&self, slot: Slot) -> bool {
        let after = self.ranges.partition_point(|range| range.first() <= slot);
        after > 0 && self.ranges[after - 1].last() >= slot
    }

    /// Adds a range, which may overlap what is there.
    pub fn insert(&mut self, range: SlotRange) {
        // The ranges that overlap or touch the new one lie side by side; it swallows them.
        let from = self.ranges.partition_point(|held| held.last().index() + 1 < range.first().index());
        let until = self.ranges.partition_point(|held| held.first().index() <= range.last().index() + 1);
        let first =
            self.ranges[from..until].first().map_or(range.first(), |held| held.first().min(range.first()));
        let last = self.ranges[from..until].last().map_or(range.last(), |held| held.last().max(range.last()));
        self.ranges.splice(from..until, SlotRange::new(first, last));
    }

    /// The slots that are in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.iter().chain(other.iter()).collect()
    }

    /// The slots that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut common = Vec::new();
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        while let (Some(&a), Some(&b)) = (left.peek(), right.peek()) {
            common.extend(a.intersection(b));
            if a.last() < b.last() {
                left.next()
            } else {
                right.next()
            };
        }
        Self { ranges: common }
    }

    /// The slots that are in this one and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = Vec::new();
        let mut removed = other.ranges.as_slice();
        for range in self {
            // Whatever ends before this range starts cannot touch the later ones either.
            while removed.first().is_some_and(|cut| cut.last() < range.first()) {
                removed = &removed[1..];
            }
            let mut from = Some(range.first());
            for cut in removed.iter().take_while(|cut| cut.first() <= range.last()) {
                let until = cut.first().previous();
                rest.extend(from.zip(until).and_then(|(first, last)| SlotRange::new(first, last)));
                from = cut.last().next();
            }
            rest.extend(from.and_then(|first| SlotRange::new(first, range.last())));
        }
        Self { ranges: rest }
    }

    /// Whether any slot is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.first_common(other).is_some()
    }

    /// The lowest slot that is in both.
    #[must_use]
    pub fn first_common(&self, other: &Self) -> Option<Slot> {
        self.intersection(other).ranges.first().map(|range| range.first())
    }
}

impl From<SlotRange> for SlotRanges {
    fn from(range: SlotRange) -> Self {
        Self { ranges: vec![range] }
    }
}

impl From<Vec<SlotRange>> for SlotRanges {
    fn from(mut ranges: Vec<SlotRange>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|later, held| {
            let joins = later.first().index() <= held.last().index() + 1;
            if joins {
                let last = held.last().max(later.last());
                *held = SlotRange::new(held.first(), last).expect("a range only grows when it is joined");
            }
            joins
        });
        Self { ranges }
    }
}

impl From<SlotRanges> for Vec<SlotRange> {
    fn from(set: SlotRanges) -> Self {
        set.ranges
    }
}

impl FromIterator<SlotRange> for SlotRanges {
    fn from_iter<I: IntoIterator<Item = SlotRange>>(ranges: I) -> Self {
        ranges.into_iter().collect::<Vec<_>>().into()
    }
}

impl FromIterator<Slot> for SlotRanges {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        slots.into_iter().map(SlotRange::from).collect()
    }
}

impl IntoIterator for SlotRanges {
    type Item = SlotRange;
    type IntoIter = std::vec::IntoIter<SlotRange>;

    fn into_iter(self) -> Self::IntoIter {
        self.ranges.into_iter()
    }
}

impl<'a> IntoIterator for &'a SlotRanges {
    type Item = SlotRange;
    type IntoIter = std::iter::Copied<std::slice::Iter<'a, SlotRange>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for SlotRanges {
    /// `0-100 200`, as CLUSTER NODES lists them; nothing for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{range}")?;
        }
        Ok(())
    }
}

impl FromStr for SlotRanges {
    type Err = SlotRangeError;

    fn from_str(text: &str) -> Result<Self, SlotRangeError> {
        text.split_ascii_whitespace().map(str::parse::<SlotRange>).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::SlotRanges;

    fn set(text: &str) -> SlotRanges {
        text.parse().unwrap()
    }

    #[test]
    fn printed_merged() {
        let check = |text: &str, expected: &str| assert_eq!(set(text).to_string(), expected, "{text:?}");
        check("", "");
        check("5 4 3", "3-5");
        check("0-100 200", "0-100 200");
        check("200 0-100 50-199", "0-200");
        check("16383 0", "0 16383");
    }

    #[test]
    fn difference() {
        let check = |left: &str, right: &str, expected: &str| {
            assert_eq!(set(left).difference(&set(right)).to_string(), expected, "{left:?} - {right:?}");
        };
        check("0-10", "", "0-10");
        check("0-10", "0-10", "");
        check("0-10", "0 5 10", "1-4 6-9");
        check("0-16383", "0-8000", "8001-16383");
        check("0-10 20-30", "5-25", "0-4 26-30");
        check("0-10", "11-16383", "0-10");
    }

    #[test]
    fn overlap_is_found() {
        let check = |ranges: &[&str], expected: Option<u16>| {
            let found = SlotRanges::from_disjoint(ranges.iter().map(|r| r.parse().unwrap()).collect()).err();
            assert_eq!(found.map(crate::Slot::number), expected, "{ranges:?}");
        };
        check(&["10-20", "0-9"], None);
        check(&["10-20", "0-10"], Some(10));
        check(&["0-5", "5", "6"], Some(5));
    }
}
