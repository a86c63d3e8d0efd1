//! Replies of several primaries to one command, merged into the one reply that the client gets: one rule a file.
//!
//! The replies are trusted to be whole; where they do not have the form that the command's replies have,
//! the client gets an error, never half a reply.

mod all_ok;
mod any_non_null;
mod by_time;
mod concat;
mod fields;
mod integers;
mod latest_events;
mod min_each;
mod one_ok;
mod parts;
mod scan;
mod scan_members;
mod text;

pub use scan::{SCAN_NODES_MAX, ScanProcess, ScanShards, ScanStep, scan_cursor_of, scan_reply, scan_words};
pub(crate) use scan::{ScanLevel, scan_hash};
pub use scan_members::ScanMembers;

use crate::command::Merge;
use crate::errors;
use all_ok::all_ok;
use any_non_null::any_non_null;
use by_time::by_time;
use concat::concat;
use latest_events::latest_events;
use min_each::min_each;
use one_ok::one_ok;
use parts::{Mismatch, values};
use resp::Protocol;
use text::text;

/// Merges the replies of all primaries, in the order of the primaries, and appends the result to `out`.
/// The first error among them wins. The replies of [`Merge::Scan`] are not for here: see
/// [`scan_reply`].
///
/// # Panics
/// When there is no reply, or `kind` is [`Merge::Scan`]; both are the caller's mistakes.
pub fn merge(kind: Merge, parts: &[Vec<u8>], protocol: Protocol, out: &mut Vec<u8>) {
    assert!(!parts.is_empty(), "a merge needs at least one reply");
    assert!(kind != Merge::Scan, "a SCAN step has one reply and its own merge");
    if let [only] = parts {
        out.extend_from_slice(only);
        return;
    }
    if kind == Merge::OneOk {
        out.extend_from_slice(one_ok(parts));
        return;
    }
    if let Some(error) = parts.iter().find(|part| resp::is_error(part)) {
        out.extend_from_slice(error);
        return;
    }
    let start = out.len();
    if merge_successes(kind, parts, protocol, out).is_err() {
        out.truncate(start);
        errors::write(out, errors::REPLIES_DIFFER);
    }
}

fn merge_successes(
    kind: Merge,
    parts: &[Vec<u8>],
    protocol: Protocol,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    match kind {
        Merge::AllOk => out.extend_from_slice(all_ok(parts)?),
        Merge::OneOk | Merge::Scan => return Err(Mismatch),
        Merge::AnyNonNull => out.extend_from_slice(any_non_null(parts)),
        Merge::Concat => concat(parts, out)?,
        Merge::Sum => integers::sum(parts, out)?,
        Merge::Min => integers::min(parts, out)?,
        Merge::MinEach => min_each(&values(parts)?, out)?,
        Merge::Text => text(&values(parts)?, protocol, out)?,
        Merge::SumFields => fields::sum(&values(parts)?, protocol, out)?,
        Merge::LatestEvents => latest_events(&values(parts)?, out)?,
        Merge::ByTime => by_time(&values(parts)?, out)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests;
