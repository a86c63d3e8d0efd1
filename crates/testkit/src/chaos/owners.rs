//! Whether two proxies accepted writes of one shard at once.
//!
//! The metadata says in which order proxies owned the shard. Every acknowledged write names the proxy that took it.
//! Walking through the run, the owner may only move forward along that order: a write that began after a later
//! owner's write had been acknowledged, and that an earlier owner took, is proof of two primaries.
//!
//! ```text
//!   owners by the metadata:  A ───────▶ B
//!   A takes w1    B takes w2    A takes w3        w3 began after w2 was acknowledged: broken
//! ```

use std::net::SocketAddr;

use crate::history::{Action, Moment, Operation};

/// Two writes that prove it: the later owner's, and the earlier owner's that began afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoPrimaries {
    /// Taken by the later owner.
    pub taken: Operation,
    /// Taken by the earlier one although it began after the other's acknowledgement.
    pub late: Operation,
}

/// Looks for a write that an owner took out of its turn. `owners` in the order of the metadata; writes by servers
/// that never owned the shard count as out of turn, too.
#[must_use]
pub fn two_primaries(owners: &[SocketAddr], operations: &[Operation]) -> Option<TwoPrimaries> {
    // Calls and ends in the order of time; at one instant ends come last, so that nothing is thought later than it was.
    let mut instants: Vec<(Moment, bool, usize)> = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        if let (Some(end), Action::Write(_) | Action::Increment(_)) = (operation.end, operation.action)
            && end.server.is_some()
        {
            instants.push((operation.call, false, index));
            instants.push((end.at, true, index));
        }
    }
    instants.sort_unstable();
    // The place in `owners` that is certainly reached, and the write that reached it.
    let (mut reached, mut by) = (0, None);
    let mut lower = vec![(0, None); operations.len()];
    for (_, is_end, index) in instants {
        if !is_end {
            lower[index] = (reached, by);
            continue;
        }
        let operation = &operations[index];
        let (from, before) = lower[index];
        let server = operation.end.and_then(|end| end.server);
        match (from..owners.len()).find(|&place| Some(owners[place]) == server) {
            Some(place) if place > reached || by.is_none() => {
                (reached, by) = (place.max(reached), Some(index));
            }
            Some(_) => {}
            None => {
                let taken = operations[before.unwrap_or(index)];
                return Some(TwoPrimaries { taken, late: *operation });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{ClientId, End, Value};

    #[test]
    fn an_owner_that_takes_a_write_out_of_its_turn_is_found() {
        let server = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
        let write = |(call, end, port): (u64, u64, u16)| Operation {
            client: ClientId(0),
            call: Moment(call),
            end: Some(End { at: Moment(end), server: Some(server(port)) }),
            action: Action::Write(Value(i64::try_from(call).unwrap())),
        };
        // The owners; calls, ends and servers of writes; when the write that is out of turn was called.
        type Case<'a> = (&'a [u16], &'a [(u64, u64, u16)], Option<u64>);
        let cases: &[Case<'_>] = &[
            (&[1], &[(1, 2, 1), (3, 4, 1)], None),
            (&[1, 2], &[(1, 2, 1), (3, 4, 2), (5, 6, 2)], None),
            (&[1, 2], &[(1, 2, 1), (3, 4, 2), (5, 6, 1)], Some(5)),
            // Begun before the other's acknowledgement: it may have happened first.
            (&[1, 2], &[(1, 2, 1), (3, 4, 2), (3, 9, 1)], None),
            (&[1, 2, 1], &[(1, 2, 1), (3, 4, 2), (5, 6, 1), (7, 8, 1)], None),
            (&[1, 2, 1], &[(1, 2, 1), (3, 4, 2), (5, 6, 1), (7, 8, 2)], Some(7)),
            (&[1, 2, 1, 2], &[(1, 2, 1), (3, 4, 2), (5, 6, 1), (7, 8, 2)], None),
            (&[1, 2], &[(1, 2, 3)], Some(1)),
        ];
        for (owners, writes, wanted) in cases {
            let owners: Vec<SocketAddr> = owners.iter().map(|&port| server(port)).collect();
            let operations: Vec<Operation> = writes.iter().copied().map(write).collect();
            let found = two_primaries(&owners, &operations).map(|found| found.late.call.0);
            assert_eq!(found, *wanted, "{writes:?}");
        }
    }
}
