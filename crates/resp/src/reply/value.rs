//! A reply as a tree that borrows from its bytes, for merging replies and for tests. The data plane's common
//! way never builds one.

use super::error::ReplyError;
use super::header::{Header, header};
use super::length::bulk_end;
use crate::count::count;

/// How deeply a reply may be nested to be read as a [`Value`].
pub const VALUE_DEPTH_MAX: usize = 128;
/// Room taken in advance for an array, in elements. More is taken as elements come, for a header may promise
/// any number of them.
const ROOM_MAX: u64 = 1024;

/// One reply. Texts are the wire's own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `+`
    Simple(&'a [u8]),
    /// `-`, the error's code first.
    Error(&'a [u8]),
    /// `:`
    Integer(i64),
    /// `$`
    Bulk(&'a [u8]),
    /// `$-1` or `_`
    Null,
    /// `*-1`
    NullArray,
    /// `*`
    Array(Vec<Value<'a>>),
    /// `%`, in the order of the wire.
    Map(Vec<(Value<'a>, Value<'a>)>),
    /// `~`, in the order of the wire.
    Set(Vec<Value<'a>>),
    /// `,`, as text: Redis's digits are kept.
    Double(&'a [u8]),
    /// `#`
    Boolean(bool),
    /// `(`, as text.
    BigNumber(&'a [u8]),
    /// `=`, with the kind and the colon in front of the text.
    Verbatim(&'a [u8]),
    /// `!`
    BulkError(&'a [u8]),
    /// `>`
    Push(Vec<Value<'a>>),
}

/// Reads the complete reply at the start of `buffer` and gives it with its length; `None` if more bytes are
/// needed. Attributes are passed over.
///
/// # Errors
/// The bytes are no reply, or one that is nested deeper than [`VALUE_DEPTH_MAX`].
pub fn parse_value(buffer: &[u8]) -> Result<Option<(Value<'_>, usize)>, ReplyError> {
    let mut reader = Reader { buffer, position: 0 };
    Ok(reader.value(0)?.map(|value| (value, reader.position)))
}

struct Reader<'a> {
    buffer: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Reads one element; `None` as soon as the buffer ends.
    fn value(&mut self, depth: usize) -> Result<Option<Value<'a>>, ReplyError> {
        if depth > VALUE_DEPTH_MAX {
            return Err(ReplyError::Depth);
        }
        loop {
            let start = self.position;
            let Some((header, len)) = header(&self.buffer[start..])? else { return Ok(None) };
            let marker = self.buffer[start];
            let line = &self.buffer[start + 1..start + len - 2];
            self.position += len;
            return match header {
                Header::Line => scalar(marker, line).map(Some),
                Header::Null => Ok(Some(if marker == b'*' { Value::NullArray } else { Value::Null })),
                Header::Bulk(len) => self.bulk(marker, len),
                Header::Elements(count) if marker == b'%' => self.map(count / 2, depth),
                Header::Elements(count) => Ok(self.elements(count, depth)?.map(|elements| match marker {
                    b'~' => Value::Set(elements),
                    b'>' => Value::Push(elements),
                    _ => Value::Array(elements),
                })),
                Header::Attribute(count) => match self.elements(count, depth)? {
                    Some(_) => continue,
                    None => Ok(None),
                },
            };
        }
    }

    fn bulk(&mut self, marker: u8, len: u64) -> Result<Option<Value<'a>>, ReplyError> {
        let Some(end) = bulk_end(self.buffer, self.position, len)? else { return Ok(None) };
        let bytes = &self.buffer[self.position..end - 2];
        self.position = end;
        Ok(Some(match marker {
            b'=' => Value::Verbatim(bytes),
            b'!' => Value::BulkError(bytes),
            _ => Value::Bulk(bytes),
        }))
    }

    fn elements(&mut self, count: u64, depth: usize) -> Result<Option<Vec<Value<'a>>>, ReplyError> {
        let mut elements = Vec::with_capacity(count.min(ROOM_MAX) as usize);
        for _ in 0..count {
            let Some(element) = self.value(depth + 1)? else { return Ok(None) };
            elements.push(element);
        }
        Ok(Some(elements))
    }

    fn map(&mut self, pairs: u64, depth: usize) -> Result<Option<Value<'a>>, ReplyError> {
        let mut map = Vec::with_capacity(pairs.min(ROOM_MAX) as usize);
        for _ in 0..pairs {
            let Some(key) = self.value(depth + 1)? else { return Ok(None) };
            let Some(value) = self.value(depth + 1)? else { return Ok(None) };
            map.push((key, value));
        }
        Ok(Some(Value::Map(map)))
    }
}

/// A value that is a line.
fn scalar(marker: u8, line: &[u8]) -> Result<Value<'_>, ReplyError> {
    Ok(match (marker, line) {
        (b'+', text) => Value::Simple(text),
        (b'-', text) => Value::Error(text),
        (b':', text) => Value::Integer(count(text).ok_or(ReplyError::Scalar)?),
        (b'_', b"") => Value::Null,
        (b'#', b"t") => Value::Boolean(true),
        (b'#', b"f") => Value::Boolean(false),
        (b',', text) if is_double(text) => Value::Double(text),
        (b'(', text) if is_big_number(text) => Value::BigNumber(text),
        _ => return Err(ReplyError::Scalar),
    })
}

fn is_double(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok())
}

fn is_big_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}
