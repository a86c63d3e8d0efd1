//! What the rules read of the parts, the primaries' replies: values and their numbers.
//!
//! A part that has another form than the command's replies have is a [`Mismatch`], never a guess.

use resp::{Value, parse_value};

/// What stands in the way of a merge: the replies' forms differ.
pub(super) struct Mismatch;

/// The parts as values.
pub(super) fn values(parts: &[Vec<u8>]) -> Result<Vec<Value<'_>>, Mismatch> {
    parts.iter().map(|part| value(part)).collect()
}

/// A part as one whole value.
pub(super) fn value(part: &[u8]) -> Result<Value<'_>, Mismatch> {
    match parse_value(part) {
        Ok(Some((value, len))) if len == part.len() => Ok(value),
        _ => Err(Mismatch),
    }
}

/// The number of an integer.
pub(super) fn integer_of(value: &Value<'_>) -> Result<i64, Mismatch> {
    match value {
        Value::Integer(number) => Ok(*number),
        _ => Err(Mismatch),
    }
}

/// The elements of an array or a set.
pub(super) fn elements_of<'v, 'a>(value: &'v Value<'a>) -> Result<&'v [Value<'a>], Mismatch> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        _ => Err(Mismatch),
    }
}
