//! The header of one element of a reply: its type and how much belongs to it. The one place that knows the
//! types; it sees no more than the header's own bytes.

use memchr::memchr;

use super::error::ReplyError;
use crate::count::{count, plain_header};

/// The longest header with a count: marker, digits and line end. Longer ones are no reply.
pub(super) const COUNT_HEADER_BYTES_MAX: usize = 20;
/// The longest bulk, in bytes: what no server sends, and what sums of a few cannot overflow.
const BULK_BYTES_MAX: i64 = 1 << 48;
/// The most elements of one array, set or push, or pairs of one map.
const ELEMENTS_MAX: i64 = 1 << 32;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The element is the header's line and nothing else.
    Line,
    /// A null in RESP2's form: `$-1` or `*-1`.
    Null,
    /// That many bytes and CR LF follow.
    Bulk(u64),
    /// That many elements follow and belong to this one.
    Elements(u64),
    /// That many elements follow, and then the element that they say something about.
    Attribute(u64),
}

/// Whether elements with this marker are a line whose length only its end tells.
#[inline]
pub(super) fn is_line_marker(marker: u8) -> bool {
    matches!(marker, b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(')
}

/// Reads the header at the start of `buffer`. Gives it with its length in bytes; `None` if it is not whole.
///
/// Monotone: once it gives an error or a header for some bytes, it gives the same for any more of them.
#[inline]
pub(super) fn header(buffer: &[u8]) -> Result<Option<(Header, usize)>, ReplyError> {
    let Some(&marker) = buffer.first() else { return Ok(None) };
    if let Some((count, len)) = plain_header(buffer, 0) {
        match marker {
            b'$' => return Ok(Some((Header::Bulk(count), len))),
            b':' => return Ok(Some((Header::Line, len))),
            _ => {}
        }
    }
    if is_line_marker(marker) {
        return Ok(line_end(buffer)?.map(|end| (Header::Line, end + 2)));
    }
    if !matches!(marker, b'$' | b'*' | b'%' | b'~' | b'>' | b'=' | b'!' | b'|') {
        return Err(ReplyError::Marker(marker));
    }
    let line = &buffer[..buffer.len().min(COUNT_HEADER_BYTES_MAX)];
    let Some(end) = line_end(line)? else {
        let too_long = line.len() == COUNT_HEADER_BYTES_MAX;
        return if too_long { Err(ReplyError::Count) } else { Ok(None) };
    };
    let count = count(&line[1..end]).ok_or(ReplyError::Count)?;
    Ok(Some((counted(marker, count)?, end + 2)))
}

/// What a header with a count means.
fn counted(marker: u8, count: i64) -> Result<Header, ReplyError> {
    if count == -1 && matches!(marker, b'$' | b'*') {
        return Ok(Header::Null);
    }
    let bulk = matches!(marker, b'$' | b'=' | b'!');
    let max = if bulk { BULK_BYTES_MAX } else { ELEMENTS_MAX };
    if count > max {
        return Err(ReplyError::Count);
    }
    let count = u64::try_from(count).map_err(|_| ReplyError::Count)?;
    Ok(match marker {
        b'%' => Header::Elements(count * 2),
        b'|' => Header::Attribute(count * 2),
        _ if bulk => Header::Bulk(count),
        _ => Header::Elements(count),
    })
}

/// The position of the CR LF in `line`, `None` if it is not there yet.
#[inline]
fn line_end(line: &[u8]) -> Result<Option<usize>, ReplyError> {
    let Some(end) = memchr(b'\r', line) else { return Ok(None) };
    match line.get(end + 1) {
        Some(b'\n') => Ok(Some(end)),
        Some(_) => Err(ReplyError::LineEnd),
        None => Ok(None),
    }
}
