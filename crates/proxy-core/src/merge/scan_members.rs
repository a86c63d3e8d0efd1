//! SCAN over several proxies, one after the other, under one cursor, for a proxy that answers for all of them.
//!
//! ```text
//!  63 62                              8+w      8          0
//! +--+---------------------------------+--------+----------+
//! | 0|  the member's own cursor        | member |  members |
//! +--+---------------------------------+--------+----------+
//! ```
//!
//! - *members*: a hash of which proxies there are. A cursor of other members begins the scan again.
//! - *member*: as many bits as there are members, in the order of their addresses, which is the same at each of them.
//!
//! A member's own cursor is bound to its shards and processes by itself ([`super::ScanShards`]).

use super::scan::{ScanLevel, scan_hash};

/// Bits of a cursor that say which members there were.
const MEMBERS_BITS: u32 = 8;

/// The proxies that are scanned, by their addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanMembers {
    members: u64,
    count: usize,
}

impl ScanMembers {
    /// Members with these addresses, in this order; there is at least one.
    pub fn new<'a>(addresses: impl ExactSizeIterator<Item = &'a str>) -> ScanMembers {
        let count = addresses.len();
        ScanMembers { members: scan_hash(addresses.map(str::as_bytes)) % (1 << MEMBERS_BITS), count }
    }

    /// The member that a client's cursor leads to, the cursor there, and the place.
    pub(crate) fn step(&self, cursor: u64) -> (usize, u64, ScanLevel) {
        let member =
            usize::try_from((cursor >> MEMBERS_BITS) % (1 << self.member_bits())).unwrap_or(usize::MAX);
        let is_known = cursor != 0 && cursor % (1 << MEMBERS_BITS) == self.members && member < self.count;
        let (member, inner) = if is_known { (member, cursor >> self.head_bits()) } else { (0, 0) };
        let after = if member + 1 < self.count { self.head(member + 1) } else { 0 };
        (member, inner, ScanLevel { head: self.head(member), head_bits: self.head_bits(), after })
    }

    fn member_bits(&self) -> u32 {
        usize::BITS - self.count.saturating_sub(1).leading_zeros()
    }

    fn head_bits(&self) -> u32 {
        MEMBERS_BITS + self.member_bits()
    }

    fn head(&self, member: usize) -> u64 {
        (member as u64) << MEMBERS_BITS | self.members
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(count: usize, first: &str) -> ScanMembers {
        let names: Vec<String> =
            (0..count).map(|at| if at == 0 { first.to_owned() } else { format!("proxy:{at}") }).collect();
        ScanMembers::new(names.iter().map(String::as_str))
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_place(count in 1..20_usize, at in any::<prop::sample::Index>(), inner in 1..1_u64 << 50) {
            let (member, known) = (at.index(count), members(count, "a:1"));
            let mut cursor = 0;
            for before in 0..member {
                let (at, from, level) = known.step(cursor);
                prop_assert_eq!((at, from), (before, 0));
                cursor = level.next(0).unwrap();
            }
            let (_, _, level) = known.step(cursor);
            let (found, from, _) = known.step(level.next(inner).unwrap());
            prop_assert_eq!((found, from), (member, inner));
            // The last one ends the scan.
            prop_assert_eq!(level.next(0) == Some(0), member + 1 == count);
            // Other members: all begins again.
            let (found, from, _) = members(count, "b:1").step(level.next(inner).unwrap());
            prop_assert_eq!((found, from), (0, 0));
        }

        #[test]
        fn any_number_leads_to_a_member(count in 1..20_usize, cursor: u64) {
            prop_assert!(members(count, "a:1").step(cursor).0 < count);
        }
    }

    #[test]
    fn a_cursor_that_does_not_fit_is_none() {
        let (_, _, level) = members(3, "a:1").step(0);
        assert!(level.next((1 << 53) - 1).is_some());
        assert_eq!(level.next(1 << 53), None);
    }
}
