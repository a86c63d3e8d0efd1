//! When two replies count as the same: byte for byte, but for the few commands whose answer is not determined by
//! what was sent. Each exception says why it exists and still demands as much as can be demanded.

use anyhow::Result;
use resp::{Value, encode};

use crate::frame::Frame;

/// How the replies to one request are compared. Equal bytes always pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Byte for byte.
    Exact,
    /// The same type and the same elements in any order, at every level: the order of a hash table depends on a
    /// seed that each server draws when it starts.
    Unordered,
    /// Two positive integers, or arrays of them, that differ by no more than this: times to live run while the
    /// two servers are asked one after the other.
    Within(i64),
    /// The same type and, where it is a map, the same protocol version: HELLO tells the connection's number, the
    /// server's version and mode, which differ by design. Errors are compared byte for byte.
    Greeting,
}

/// Whether `subject` is an acceptable answer where `reference` was Redis's.
#[must_use]
pub fn same(comparison: Comparison, reference: &Frame, subject: &Frame) -> bool {
    if reference == subject {
        return true;
    }
    match comparison {
        Comparison::Exact => false,
        Comparison::Unordered => same_elements(reference, subject).unwrap_or(false),
        Comparison::Within(distance) => match (reference.value(), subject.value()) {
            (Ok(left), Ok(right)) => near(&left, &right, distance),
            _ => false,
        },
        Comparison::Greeting => {
            matches!((protocol(reference), protocol(subject)), (Some(a), Some(b)) if a == b)
        }
    }
}

fn same_elements(reference: &Frame, subject: &Frame) -> Result<bool> {
    Ok(sorted(&reference.value()?) == sorted(&subject.value()?))
}

/// The value's bytes with the elements of every aggregate in sorted order; pairs of a map stay together.
fn sorted(value: &Value<'_>) -> Vec<u8> {
    let (kind, mut parts): (u8, Vec<Vec<u8>>) = match value {
        Value::Array(items) => (b'*', items.iter().map(sorted).collect()),
        Value::Set(items) => (b'~', items.iter().map(sorted).collect()),
        Value::Push(items) => (b'>', items.iter().map(sorted).collect()),
        Value::Map(pairs) => {
            (b'%', pairs.iter().map(|(key, value)| [sorted(key), sorted(value)].concat()).collect())
        }
        other => {
            let mut bytes = Vec::new();
            encode::value(&mut bytes, other);
            return bytes;
        }
    };
    parts.sort();
    let mut bytes = vec![kind];
    bytes.extend_from_slice(format!("{}\r\n", parts.len()).as_bytes());
    bytes.extend(parts.into_iter().flatten());
    bytes
}

fn near(reference: &Value<'_>, subject: &Value<'_>, distance: i64) -> bool {
    match (reference, subject) {
        (Value::Integer(left), Value::Integer(right)) => {
            left == right || (*left > 0 && *right > 0 && left.abs_diff(*right) <= distance.unsigned_abs())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| near(a, b, distance))
        }
        _ => reference == subject,
    }
}

/// What must agree in the reply to HELLO: whether it is a RESP2 array or a RESP3 map, and the version in it.
fn protocol(frame: &Frame) -> Option<(bool, i64)> {
    let version = |key: &Value<'_>, value: &Value<'_>| match (key, value) {
        (Value::Bulk(b"proto"), Value::Integer(version)) => Some(*version),
        _ => None,
    };
    match frame.value().ok()? {
        Value::Array(items) => {
            items.chunks(2).find_map(|pair| version(pair.first()?, pair.get(1)?)).map(|found| (false, found))
        }
        Value::Map(pairs) => {
            pairs.iter().find_map(|(key, value)| version(key, value)).map(|found| (true, found))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(comparison: Comparison, reference: &str, subject: &str, expected: bool) {
        let frame = |text: &str| Frame::new(text.as_bytes().to_vec());
        let got = same(comparison, &frame(reference), &frame(subject));
        assert_eq!(got, expected, "{comparison:?} of {reference:?} and {subject:?}");
    }

    #[test]
    fn exact() {
        check(Comparison::Exact, "+OK\r\n", "+OK\r\n", true);
        check(Comparison::Exact, "$2\r\nOK\r\n", "+OK\r\n", false);
        check(Comparison::Exact, "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n", false);
    }

    #[test]
    fn unordered() {
        let kind = Comparison::Unordered;
        check(kind, "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:1\r\n", true);
        check(kind, "~2\r\n+a\r\n+b\r\n", "~2\r\n+b\r\n+a\r\n", true);
        check(kind, "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "%2\r\n+b\r\n:2\r\n+a\r\n:1\r\n", true);
        check(kind, "*2\r\n$1\r\n0\r\n*2\r\n+a\r\n+b\r\n", "*2\r\n$1\r\n0\r\n*2\r\n+b\r\n+a\r\n", true);
        // A value must stay with its key, a type what it is, and nothing may be lost or doubled.
        check(kind, "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "%2\r\n+a\r\n:2\r\n+b\r\n:1\r\n", false);
        check(kind, "*2\r\n:1\r\n:2\r\n", "~2\r\n:2\r\n:1\r\n", false);
        check(kind, "*2\r\n:1\r\n:2\r\n", "*2\r\n:2\r\n:2\r\n", false);
        check(kind, "*1\r\n+a\r\n", "*1\r\n$1\r\na\r\n", false);
        check(kind, "*2\r\n:1\r\n:2\r\n", "-ERR\r\n", false);
    }

    #[test]
    fn within() {
        check(Comparison::Within(2), ":100\r\n", ":98\r\n", true);
        check(Comparison::Within(2), ":100\r\n", ":97\r\n", false);
        check(Comparison::Within(2), "*2\r\n:100\r\n:-1\r\n", "*2\r\n:99\r\n:-1\r\n", true);
        // -1 and -2 have meanings of their own.
        check(Comparison::Within(2), ":-1\r\n", ":-2\r\n", false);
        check(Comparison::Within(2), ":1\r\n", ":-1\r\n", false);
        check(Comparison::Within(2), ":1\r\n", "$1\r\n1\r\n", false);
    }

    #[test]
    fn greeting() {
        let kind = Comparison::Greeting;
        let two = "*4\r\n$2\r\nid\r\n:1\r\n$5\r\nproto\r\n:2\r\n";
        check(kind, two, "*2\r\n$5\r\nproto\r\n:2\r\n", true);
        check(kind, two, "*2\r\n$5\r\nproto\r\n:3\r\n", false);
        check(kind, two, "%1\r\n$5\r\nproto\r\n:2\r\n", false);
        check(kind, "-NOPROTO unsupported protocol version\r\n", "-ERR no\r\n", false);
        check(kind, two, "-ERR no\r\n", false);
    }
}
