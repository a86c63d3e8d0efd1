//! The length of a reply that is all in one buffer: the way that nearly every reply takes.

use super::error::ReplyError;
use super::header::{Header, header};
use crate::count::short_header;

/// The length of the complete reply at the start of `buffer`; `None` if more bytes are needed. Attributes
/// count to the reply that they precede. A push is a reply of its own here: ask [`is_push`].
///
/// Reads the reply from its start at each call: for one that arrives in many pieces use
/// [`ReplyScanner`](crate::ReplyScanner). It looks at headers and line ends only, so a number's text is not
/// checked, and nesting costs no stack and has no limit.
///
/// # Errors
/// The bytes are no reply.
#[inline]
pub fn reply_length(buffer: &[u8]) -> Result<Option<usize>, ReplyError> {
    match buffer {
        [b'+', b'O', b'K', b'\r', b'\n', ..] => return Ok(Some(5)),
        // A number of up to two digits.
        [b':', b'0'..=b'9', b'\r', b'\n', ..] => return Ok(Some(4)),
        [b':', _, b'0'..=b'9', b'\r', b'\n', ..] if buffer[1] != b'\r' => return Ok(Some(5)),
        [b'_', b'\r', b'\n', ..] => return Ok(Some(3)),
        [b'$', b'-', b'1', b'\r', b'\n', ..] => return Ok(Some(5)),
        [b'$', ..] => {
            if let Some((len, start)) = short_header(buffer, 0, b'$')
                && buffer[start - 1] == b'\n'
                && let Some(b"\r\n") = buffer.get(start + len..start + len + 2)
            {
                return Ok(Some(start + len + 2));
            }
        }
        _ => {}
    }
    any_length(buffer)
}

/// As `reply_length`, for replies of every form.
#[inline(never)]
fn any_length(buffer: &[u8]) -> Result<Option<usize>, ReplyError> {
    let mut position = 0;
    // Elements that are still to come. As a sum over all levels, it needs no stack.
    let mut due: u64 = 1;
    while due > 0 {
        let Some((header, len)) = header(&buffer[position..])? else { return Ok(None) };
        position += len;
        due -= 1;
        match header {
            Header::Line | Header::Null => {}
            Header::Bulk(len) => match bulk_end(buffer, position, len)? {
                Some(end) => position = end,
                None => return Ok(None),
            },
            Header::Elements(count) => due = due.checked_add(count).ok_or(ReplyError::Count)?,
            // The element itself is still to come.
            Header::Attribute(count) => due = due.checked_add(count + 1).ok_or(ReplyError::Count)?,
        }
    }
    Ok(Some(position))
}

/// The position after the bulk of `len` bytes at `start`, if it is whole.
pub(super) fn bulk_end(buffer: &[u8], start: usize, len: u64) -> Result<Option<usize>, ReplyError> {
    // Bounded by its header, so it fits and the sum does not overflow.
    let end = start + len as usize;
    match buffer.get(end..).unwrap_or_default() {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(end + 2)),
        _ => Err(ReplyError::LineEnd),
    }
}

/// Whether a reply is an error. Attributes before it are passed over.
#[inline]
#[must_use]
pub fn is_error(frame: &[u8]) -> bool {
    matches!(marker(frame), Some(b'-' | b'!'))
}

/// Whether a reply is a push: out of band, and no answer to a request.
#[inline]
#[must_use]
pub fn is_push(frame: &[u8]) -> bool {
    marker(frame) == Some(b'>')
}

/// The type of a reply, past its attributes.
#[inline]
fn marker(frame: &[u8]) -> Option<u8> {
    match frame.first() {
        Some(b'|') => marker_after_attributes(frame),
        first => first.copied(),
    }
}

#[cold]
fn marker_after_attributes(mut frame: &[u8]) -> Option<u8> {
    while let Ok(Some((Header::Attribute(count), len))) = header(frame) {
        frame = &frame[len..];
        for _ in 0..count {
            frame = &frame[any_length(frame).ok()??..];
        }
    }
    frame.first().copied()
}
