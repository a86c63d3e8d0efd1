//! Replies of several primaries to one command, merged into the one reply that the client gets.
//!
//! The replies are trusted to be whole; where they do not have the form that the command's replies have,
//! the client gets an error, never half a reply.

mod fields;
mod latency;
mod scan;

pub use scan::{
    INVALID_CURSOR, SCAN_BACKEND_CURSOR_MAX, SCAN_NODES_MAX, scan_cursor_join, scan_cursor_of,
    scan_cursor_split, scan_end, scan_reply, scan_request,
};

use crate::command::Merge;
use resp::{Protocol, Value, encode, parse_value};

/// The error where the primaries' replies cannot be understood together.
const MISMATCH: &str = "ERR the backends' replies do not fit together";
/// How Redis's answer to SCRIPT KILL and FUNCTION KILL begins where nothing runs.
const NOTHING_RUNS: &[u8] = b"-NOTBUSY";

/// What stands in the way of a merge: the replies' forms differ.
pub(super) struct Mismatch;

/// Merges the replies of all primaries, in the order of the primaries, and appends the result to `out`.
/// The first error among them wins. The replies of [`Merge::Scan`] are not for here: see
/// [`scan_reply`].
///
/// # Panics
/// When there is no reply, or `kind` is [`Merge::Scan`] — both are the caller's mistakes.
pub fn merge(kind: Merge, parts: &[Vec<u8>], protocol: Protocol, out: &mut Vec<u8>) {
    assert!(!parts.is_empty(), "a merge needs at least one reply");
    assert!(kind != Merge::Scan, "a SCAN step has one reply and its own merge");
    if let [only] = parts {
        out.extend_from_slice(only);
        return;
    }
    if kind == Merge::OneOk {
        out.extend_from_slice(one_success(parts));
        return;
    }
    if let Some(error) = parts.iter().find(|part| resp::is_error(part)) {
        out.extend_from_slice(error);
        return;
    }
    let start = out.len();
    if merge_successes(kind, parts, protocol, out).is_err() {
        out.truncate(start);
        encode::error(out, MISMATCH);
    }
}

fn merge_successes(
    kind: Merge,
    parts: &[Vec<u8>],
    protocol: Protocol,
    out: &mut Vec<u8>,
) -> Result<(), Mismatch> {
    match kind {
        Merge::AllOk if parts.iter().all(|part| *part == parts[0]) => out.extend_from_slice(&parts[0]),
        Merge::AllOk => return Err(Mismatch),
        Merge::OneOk | Merge::Scan => return Err(Mismatch),
        Merge::AnyNonNull => {
            let answer = parts.iter().find(|part| !is_null(part)).unwrap_or(&parts[0]);
            out.extend_from_slice(answer);
        }
        Merge::Concat => concat(parts, out)?,
        Merge::Sum | Merge::Min => {
            let numbers = parts.iter().map(|part| integer_of(&value(part)?));
            let numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
            let result = match kind {
                Merge::Sum => numbers.iter().fold(0, |sum: i64, number| sum.saturating_add(*number)),
                _ => numbers.into_iter().min().ok_or(Mismatch)?,
            };
            encode::integer(out, result);
        }
        Merge::MinEach => min_each(&values(parts)?, out)?,
        Merge::Text => text(&values(parts)?, protocol, out)?,
        Merge::SumFields => fields::sum(&values(parts)?, protocol, out)?,
        Merge::LatestEvents => latency::latest(&values(parts)?, out)?,
        Merge::ByTime => latency::by_time(&values(parts)?, out)?,
    }
    Ok(())
}

/// The first success; else the first error that says more than "nothing runs here".
fn one_success(parts: &[Vec<u8>]) -> &[u8] {
    let success = parts.iter().find(|part| !resp::is_error(part));
    success.or_else(|| parts.iter().find(|part| !part.starts_with(NOTHING_RUNS))).unwrap_or(&parts[0])
}

fn is_null(part: &[u8]) -> bool {
    matches!(part, b"$-1\r\n" | b"_\r\n" | b"*-1\r\n")
}

/// Joins arrays without looking into them: only their headers are read.
fn concat(parts: &[Vec<u8>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let bodies: Vec<(usize, &[u8])> = parts.iter().map(|part| array_body(part)).collect::<Result<_, _>>()?;
    encode::array(out, bodies.iter().map(|(count, _)| count).sum());
    bodies.iter().for_each(|(_, body)| out.extend_from_slice(body));
    Ok(())
}

/// The number of elements of an array and the bytes of the elements.
fn array_body(part: &[u8]) -> Result<(usize, &[u8]), Mismatch> {
    let rest = part.strip_prefix(b"*").ok_or(Mismatch)?;
    let end = memchr::memchr(b'\r', rest).ok_or(Mismatch)?;
    let count = str::from_utf8(&rest[..end]).ok().and_then(|digits| digits.parse().ok()).ok_or(Mismatch)?;
    Ok((count, rest.get(end + 2..).ok_or(Mismatch)?))
}

fn min_each(parts: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), Mismatch> {
    let rows: Vec<&[Value<'_>]> = parts.iter().map(elements_of).collect::<Result<_, _>>()?;
    let len = rows[0].len();
    if rows.iter().any(|row| row.len() != len) {
        return Err(Mismatch);
    }
    encode::array(out, len);
    for column in 0..len {
        let column = rows.iter().map(|row| integer_of(&row[column])).collect::<Result<Vec<_>, _>>()?;
        encode::integer(out, column.into_iter().min().ok_or(Mismatch)?);
    }
    Ok(())
}

/// Paragraphs one after the other; one that several primaries share is said once.
fn text(parts: &[Value<'_>], protocol: Protocol, out: &mut Vec<u8>) -> Result<(), Mismatch> {
    const KIND: &str = "txt";
    let mut paragraphs: Vec<&[u8]> = Vec::with_capacity(parts.len());
    let mut verbatim = false;
    for part in parts {
        let paragraph = match part {
            Value::Bulk(text) | Value::Simple(text) => *text,
            Value::Verbatim(text) => {
                verbatim = true;
                text.get(KIND.len() + 1..).ok_or(Mismatch)?
            }
            _ => return Err(Mismatch),
        };
        if !paragraphs.contains(&paragraph) {
            paragraphs.push(paragraph);
        }
    }
    let joined = paragraphs.join(&b"\n\n"[..]);
    if verbatim {
        encode::verbatim(out, protocol, KIND, &joined);
    } else {
        encode::bulk(out, &joined);
    }
    Ok(())
}

fn values(parts: &[Vec<u8>]) -> Result<Vec<Value<'_>>, Mismatch> {
    parts.iter().map(|part| value(part)).collect()
}

fn value(part: &[u8]) -> Result<Value<'_>, Mismatch> {
    match parse_value(part) {
        Ok(Some((value, len))) if len == part.len() => Ok(value),
        _ => Err(Mismatch),
    }
}

fn integer_of(value: &Value<'_>) -> Result<i64, Mismatch> {
    match value {
        Value::Integer(number) => Ok(*number),
        _ => Err(Mismatch),
    }
}

fn elements_of<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Value<'a>], Mismatch> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        _ => Err(Mismatch),
    }
}

#[cfg(test)]
mod tests;
