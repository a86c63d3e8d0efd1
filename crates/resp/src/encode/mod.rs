//! Writing replies and requests. Every function appends whole protocol elements to `out`; after `array`,
//! `map`, `set` and `push` the caller appends that many elements itself.
//!
//! Where RESP2 has no form for a type, it is written as Redis writes it for a RESP2 client.

use crate::{Protocol, Value};

const LINE_END: &[u8] = b"\r\n";

/// `+text`. CR and LF become spaces, as they would end the reply.
pub fn simple(out: &mut Vec<u8>, text: &str) {
    line(out, b'+', text.as_bytes());
}

/// `-text`: an error, its code first (`ERR no such key`). CR and LF become spaces.
pub fn error(out: &mut Vec<u8>, text: &str) {
    line(out, b'-', text.as_bytes());
}

/// `:value`
pub fn integer(out: &mut Vec<u8>, value: i64) {
    number(out, b':', value);
}

/// `$len` and the bytes.
#[inline]
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    blob(out, b'$', bytes);
}

/// The absent value: `$-1`, in RESP3 `_`.
pub fn null(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// The absent array: `*-1`, in RESP3 `_`.
pub fn null_array(out: &mut Vec<u8>, protocol: Protocol) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"*-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

/// The header of an array of `len` elements.
pub fn array(out: &mut Vec<u8>, len: usize) {
    length(out, b'*', len);
}

/// The header of a map of `pairs` keys with their values; in RESP2 an array of twice as many elements.
pub fn map(out: &mut Vec<u8>, protocol: Protocol, pairs: usize) {
    match protocol {
        Protocol::Resp2 => length(out, b'*', pairs * 2),
        Protocol::Resp3 => length(out, b'%', pairs),
    }
}

/// The header of a set of `len` elements; in RESP2 an array.
pub fn set(out: &mut Vec<u8>, protocol: Protocol, len: usize) {
    length(out, if protocol == Protocol::Resp2 { b'*' } else { b'~' }, len);
}

/// The header of a push of `len` elements; in RESP2 an array.
pub fn push(out: &mut Vec<u8>, protocol: Protocol, len: usize) {
    length(out, if protocol == Protocol::Resp2 { b'*' } else { b'>' }, len);
}

/// A floating point number in the fewest digits that give it back; in RESP2 a bulk string.
pub fn double(out: &mut Vec<u8>, protocol: Protocol, value: f64) {
    let text = double_text(value);
    match protocol {
        Protocol::Resp2 => bulk(out, text.as_bytes()),
        Protocol::Resp3 => line(out, b',', text.as_bytes()),
    }
}

/// `#t` or `#f`; in RESP2 the integer 1 or 0.
pub fn boolean(out: &mut Vec<u8>, protocol: Protocol, value: bool) {
    out.extend_from_slice(match (protocol, value) {
        (Protocol::Resp2, false) => b":0\r\n",
        (Protocol::Resp2, true) => b":1\r\n",
        (Protocol::Resp3, false) => b"#f\r\n",
        (Protocol::Resp3, true) => b"#t\r\n",
    });
}

/// Text with its kind, which is three letters (`txt`, `mkd`); in RESP2 a bulk string without the kind.
pub fn verbatim(out: &mut Vec<u8>, protocol: Protocol, kind: &str, text: &[u8]) {
    debug_assert_eq!(kind.len(), 3, "a verbatim string's kind is three letters");
    match protocol {
        Protocol::Resp2 => bulk(out, text),
        Protocol::Resp3 => {
            length(out, b'=', kind.len() + 1 + text.len());
            out.extend_from_slice(kind.as_bytes());
            out.push(b':');
            out.extend_from_slice(text);
            out.extend_from_slice(LINE_END);
        }
    }
}

/// A whole request: an array of bulk strings.
pub fn request(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    array(out, arguments.len());
    for argument in arguments {
        bulk(out, argument);
    }
}

/// A whole tree, each value in the form of its own type. `Null` is written `$-1`, which clients of both
/// versions read; use [`value_as`] to write for a certain one.
pub fn value(out: &mut Vec<u8>, value: &Value<'_>) {
    tree(out, value, None);
}

/// A whole tree for a client of `protocol`: for RESP2, types that it does not have are written as Redis
/// writes them there.
pub fn value_as(out: &mut Vec<u8>, protocol: Protocol, value: &Value<'_>) {
    tree(out, value, Some(protocol));
}

/// `protocol` is `None` where each value keeps its own form.
fn tree(out: &mut Vec<u8>, value: &Value<'_>, protocol: Option<Protocol>) {
    let nulls = protocol.unwrap_or(Protocol::Resp2);
    let types = protocol.unwrap_or(Protocol::Resp3);
    match value {
        Value::Simple(text) => line(out, b'+', text),
        Value::Error(text) => line(out, b'-', text),
        Value::Integer(value) => integer(out, *value),
        Value::Bulk(bytes) => bulk(out, bytes),
        Value::Null => null(out, nulls),
        Value::NullArray => null_array(out, nulls),
        Value::Boolean(value) => boolean(out, types, *value),
        Value::Array(elements) => {
            array(out, elements.len());
            elements.iter().for_each(|element| tree(out, element, protocol));
        }
        Value::Set(elements) => {
            set(out, types, elements.len());
            elements.iter().for_each(|element| tree(out, element, protocol));
        }
        Value::Push(elements) => {
            push(out, types, elements.len());
            elements.iter().for_each(|element| tree(out, element, protocol));
        }
        Value::Map(pairs) => {
            map(out, types, pairs.len());
            for (key, value) in pairs {
                tree(out, key, protocol);
                tree(out, value, protocol);
            }
        }
        Value::Double(text) | Value::BigNumber(text) if types == Protocol::Resp2 => bulk(out, text),
        Value::Double(text) => line(out, b',', text),
        Value::BigNumber(text) => line(out, b'(', text),
        // The kind and its colon are not part of the text for those who know no kinds.
        Value::Verbatim(text) if types == Protocol::Resp2 => bulk(out, text.get(4..).unwrap_or_default()),
        Value::Verbatim(text) => blob(out, b'=', text),
        Value::BulkError(text) if types == Protocol::Resp2 => line(out, b'-', text),
        Value::BulkError(text) => blob(out, b'!', text),
    }
}

#[inline]
fn blob(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    length(out, marker, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(LINE_END);
}

fn line(out: &mut Vec<u8>, marker: u8, text: &[u8]) {
    out.push(marker);
    out.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(LINE_END);
}

fn number(out: &mut Vec<u8>, marker: u8, value: i64) {
    out.push(marker);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(LINE_END);
}

#[inline]
fn length(out: &mut Vec<u8>, marker: u8, len: usize) {
    out.push(marker);
    out.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
    out.extend_from_slice(LINE_END);
}

/// Outside this range a number is written with an exponent, as Redis does.
const PLAIN_DOUBLE_MIN: f64 = 1e-5;
const PLAIN_DOUBLE_MAX: f64 = 1e17;

fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (PLAIN_DOUBLE_MIN..PLAIN_DOUBLE_MAX).contains(&size) {
        return value.to_string();
    }
    // C writes the sign of a positive exponent, Rust does not.
    let text = format!("{value:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

#[cfg(test)]
mod tests;
