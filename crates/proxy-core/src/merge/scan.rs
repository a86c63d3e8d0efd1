//! SCAN over several primaries, one after the other, under one cursor.
//!
//! The client's cursor is the backend's cursor shifted left by [`NODE_BITS`] bits, with the primary's number
//! in the bits that become free. Low bits, because they keep the cursor small: a backend's cursor is less
//! than its hash table's size, so that even with 2^40 keys the client's stays below 2^53, which clients that
//! read numbers as doubles can hold.
//!
//! ```text
//!  63 62                               10 9          0
//! +--+-----------------------------------+------------+
//! | 0|  the backend's cursor (53 bits)   |  primary   |
//! +--+-----------------------------------+------------+
//! ```

use crate::command::Args;
use resp::{Value, encode, parse_value};

/// Bits of a cursor that say which primary.
const NODE_BITS: u32 = 10;
/// How many primaries can be scanned under one cursor.
pub const SCAN_NODES_MAX: usize = 1 << NODE_BITS;
/// The largest backend cursor; a larger one would need a hash table of more than 2^53 buckets.
pub const SCAN_BACKEND_CURSOR_MAX: u64 = (1 << (u64::BITS - 1 - NODE_BITS)) - 1;

/// Redis's error for a cursor that is none.
pub const INVALID_CURSOR: &str = "ERR invalid cursor";
const TOO_LARGE: &str = "ERR the backend's SCAN cursor is too large for this proxy";
const NO_SCAN_REPLY: &str = "ERR the backend's reply to SCAN cannot be understood";

/// The primary and the backend's cursor of a client's cursor.
pub const fn scan_cursor_split(cursor: u64) -> (usize, u64) {
    ((cursor % SCAN_NODES_MAX as u64) as usize, cursor >> NODE_BITS)
}

/// The client's cursor; `None` beyond [`SCAN_NODES_MAX`] or [`SCAN_BACKEND_CURSOR_MAX`].
pub const fn scan_cursor_join(node: usize, backend_cursor: u64) -> Option<u64> {
    if node >= SCAN_NODES_MAX || backend_cursor > SCAN_BACKEND_CURSOR_MAX {
        return None;
    }
    Some(backend_cursor << NODE_BITS | node as u64)
}

/// The cursor of a SCAN request, split; the error is [`INVALID_CURSOR`].
///
/// # Errors
/// When argument 1 is no decimal number of 64 bits.
pub fn scan_cursor_of(args: Args<'_>) -> Result<(usize, u64), &'static str> {
    cursor(args.get(1)).map(scan_cursor_split).ok_or(INVALID_CURSOR)
}

/// Appends the SCAN request for the backend: the client's own, with the backend's cursor.
pub fn scan_request(args: Args<'_>, backend_cursor: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    encode::array(out, args.len());
    for (index, argument) in args.iter().enumerate() {
        encode::bulk(out, if index == 1 { digits.format(backend_cursor).as_bytes() } else { argument });
    }
}

/// Appends what the client gets for the reply of primary `node` of `nodes`: the same keys under the cursor
/// of the next step. An error passes as it is.
pub fn scan_reply(part: &[u8], node: usize, nodes: usize, out: &mut Vec<u8>) {
    if resp::is_error(part) {
        out.extend_from_slice(part);
        return;
    }
    let Some((backend_cursor, keys)) = reply_parts(part) else { return encode::error(out, NO_SCAN_REPLY) };
    let next = match (backend_cursor, node + 1) {
        (0, next) if next >= nodes => Some(0),
        (0, next) => scan_cursor_join(next, 0),
        (more, _) => scan_cursor_join(node, more),
    };
    let Some(next) = next else { return encode::error(out, TOO_LARGE) };
    encode::array(out, 2);
    encode::bulk(out, itoa::Buffer::new().format(next).as_bytes());
    out.extend_from_slice(keys);
}

/// Appends the reply that ends a scan, for a cursor of a primary that is no longer there.
pub fn scan_end(out: &mut Vec<u8>) {
    encode::array(out, 2);
    encode::bulk(out, b"0");
    encode::array(out, 0);
}

/// The backend's cursor and the bytes of the array of keys, which are not looked into.
fn reply_parts(part: &[u8]) -> Option<(u64, &[u8])> {
    let rest = part.strip_prefix(b"*2\r\n")?;
    let (Value::Bulk(digits), len) = parse_value(rest).ok()?? else { return None };
    Some((cursor(digits)?, &rest[len..]))
}

fn cursor(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{
        SCAN_BACKEND_CURSOR_MAX, SCAN_NODES_MAX, scan_cursor_join, scan_cursor_of, scan_cursor_split,
        scan_reply, scan_request,
    };
    use crate::command::Args;
    use proptest::prelude::*;
    use resp::RequestParser;

    fn with_args<T>(request: &[u8], read: impl FnOnce(Args<'_>) -> T) -> T {
        let mut parser = RequestParser::new();
        parser.parse(request, &resp::RequestLimits::default()).expect("a request");
        read(Args::new(request, parser.spans()))
    }

    proptest! {
        #[test]
        fn split_undoes_join(node in 0..SCAN_NODES_MAX, backend in 0..=SCAN_BACKEND_CURSOR_MAX) {
            let joined = scan_cursor_join(node, backend).expect("within bounds");
            prop_assert!(i64::try_from(joined).is_ok());
            prop_assert_eq!(scan_cursor_split(joined), (node, backend));
        }
    }

    #[test]
    fn join_has_bounds() {
        assert_eq!(scan_cursor_join(SCAN_NODES_MAX, 0), None);
        assert_eq!(scan_cursor_join(0, SCAN_BACKEND_CURSOR_MAX + 1), None);
        assert_eq!(scan_cursor_join(0, 0), Some(0));
    }

    #[test]
    fn replies_lead_through_all_primaries() {
        let cases = [
            // (the backend's reply, primary, primaries, what the client gets)
            ("*2~$1~5~*1~$1~a~", 0, 2, "*2~$4~5120~*1~$1~a~"),
            ("*2~$1~0~*1~$1~a~", 0, 2, "*2~$1~1~*1~$1~a~"),
            ("*2~$1~5~*0~", 1, 2, "*2~$4~5121~*0~"),
            ("*2~$1~0~*0~", 1, 2, "*2~$1~0~*0~"),
            ("*2~$1~0~*0~", 0, 1, "*2~$1~0~*0~"),
            (
                "*2~$20~18446744073709551615~*0~",
                0,
                1,
                "-ERR the backend's SCAN cursor is too large for this proxy~",
            ),
            ("-ERR syntax error~", 0, 2, "-ERR syntax error~"),
            ("+OK~", 0, 2, "-ERR the backend's reply to SCAN cannot be understood~"),
        ];
        for (part, node, nodes, expected) in cases {
            let mut out = Vec::new();
            scan_reply(part.replace('~', "\r\n").as_bytes(), node, nodes, &mut out);
            assert_eq!(
                String::from_utf8_lossy(&out),
                expected.replace('~', "\r\n"),
                "{part} from {node} of {nodes}"
            );
        }
    }

    #[test]
    fn requests_carry_the_backends_cursor() {
        let request = b"*4\r\n$4\r\nScan\r\n$4\r\n5121\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n";
        with_args(request, |args| {
            assert_eq!(scan_cursor_of(args), Ok((1, 5)));
            let mut out = Vec::new();
            scan_request(args, 5, &mut out);
            assert_eq!(out, b"*4\r\n$4\r\nScan\r\n$1\r\n5\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n");
        });
        for wrong in ["-1", "x", "18446744073709551616", "+1"] {
            let request = format!("*2\r\n$4\r\nSCAN\r\n${}\r\n{wrong}\r\n", wrong.len());
            with_args(request.as_bytes(), |args| assert!(scan_cursor_of(args).is_err(), "{wrong}"));
        }
    }
}
