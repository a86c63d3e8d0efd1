//! Tables of replies: length, scan and tree of each, which must agree.

use super::header::COUNT_HEADER_BYTES_MAX;
use super::{
    ReplyError, ReplyScanner, ReplyStep, VALUE_DEPTH_MAX, Value, is_error, is_push, parse_value, reply_length,
};

/// Scans `input` in two chunks, cut at `cut`, and gives the reply's length.
fn scan_cut(input: &[u8], cut: usize) -> Result<Option<usize>, ReplyError> {
    let mut scanner = ReplyScanner::new();
    let mut before = 0;
    for chunk in [&input[..cut], &input[cut..]] {
        match scanner.scan(chunk)? {
            ReplyStep::End(len) => return Ok(Some(before + len)),
            ReplyStep::More => before += chunk.len(),
        }
    }
    Ok(None)
}

#[track_caller]
fn check(input: &[u8], expected: Result<Option<usize>, ReplyError>) {
    let shown = input.escape_ascii();
    assert_eq!(reply_length(input), expected, "{shown}");
    for cut in 0..=input.len() {
        assert_eq!(scan_cut(input, cut), expected, "{shown} cut at {cut}");
    }
}

/// A reply and its tree; with more bytes behind it, and with its last ones missing.
#[track_caller]
fn check_value(input: &[u8], value: &Value<'_>) {
    let shown = input.escape_ascii();
    let longer = [input, b"$9\r\nx"].concat();
    check(&longer, Ok(Some(input.len())));
    assert_eq!(parse_value(&longer).as_ref(), Ok(&Some((value.clone(), input.len()))), "{shown}");
    for len in 0..input.len() {
        check(&input[..len], Ok(None));
        assert_eq!(parse_value(&input[..len]), Ok(None), "the first {len} bytes of {shown}");
    }
}

#[test]
fn values() {
    use Value as V;
    check_value(b"+OK\r\n", &V::Simple(b"OK"));
    check_value(b"+\r\n", &V::Simple(b""));
    check_value(b"-ERR no such key\r\n", &V::Error(b"ERR no such key"));
    check_value(b":0\r\n", &V::Integer(0));
    check_value(b":42\r\n", &V::Integer(42));
    check_value(b":-7\r\n", &V::Integer(-7));
    check_value(b":-9223372036854775808\r\n", &V::Integer(i64::MIN));
    check_value(b"$0\r\n\r\n", &V::Bulk(b""));
    check_value(b"$2\r\n\r\n\r\n", &V::Bulk(b"\r\n"));
    check_value(b"$12\r\nabcdefghijkl\r\n", &V::Bulk(b"abcdefghijkl"));
    let long = [&b"$123\r\n"[..], &[b'v'; 123], b"\r\n"].concat();
    check_value(&long, &V::Bulk(&[b'v'; 123]));
    check_value(b"$-1\r\n", &V::Null);
    check_value(b"_\r\n", &V::Null);
    check_value(b"*-1\r\n", &V::NullArray);
    check_value(b"#t\r\n", &V::Boolean(true));
    check_value(b"#f\r\n", &V::Boolean(false));
    check_value(b",1.5\r\n", &V::Double(b"1.5"));
    check_value(b",-inf\r\n", &V::Double(b"-inf"));
    check_value(b",1e+300\r\n", &V::Double(b"1e+300"));
    check_value(b"(-349999999999999999999\r\n", &V::BigNumber(b"-349999999999999999999"));
    check_value(b"=7\r\ntxt:abc\r\n", &V::Verbatim(b"txt:abc"));
    check_value(b"!8\r\nERR a\r\nb\r\n", &V::BulkError(b"ERR a\r\nb"));
    check_value(b"*0\r\n", &V::Array(vec![]));
    check_value(b"*2\r\n+a\r\n*1\r\n$-1\r\n", &V::Array(vec![V::Simple(b"a"), V::Array(vec![V::Null])]));
    check_value(b"~1\r\n:1\r\n", &V::Set(vec![V::Integer(1)]));
    check_value(b"%1\r\n+k\r\n*0\r\n", &V::Map(vec![(V::Simple(b"k"), V::Array(vec![]))]));
    check_value(b">2\r\n+a\r\n+b\r\n", &V::Push(vec![V::Simple(b"a"), V::Simple(b"b")]));
}

#[test]
fn attributes_belong_to_the_reply_behind_them() {
    use Value as V;
    check_value(b"|1\r\n+ttl\r\n:5\r\n$1\r\nv\r\n", &V::Bulk(b"v"));
    check_value(b"|0\r\n|1\r\n+k\r\n*1\r\n:1\r\n+OK\r\n", &V::Simple(b"OK"));
    check_value(b"*2\r\n:1\r\n|1\r\n+k\r\n+v\r\n:2\r\n", &V::Array(vec![V::Integer(1), V::Integer(2)]));
}

#[test]
fn no_replies() {
    use ReplyError as E;
    for marker in [b'x', b'\r', b'\n', b'.', b';', b'?', 0, 0xff] {
        check(&[marker, b'1', b'\r', b'\n'], Err(E::Marker(marker)));
    }
    // Streamed types are among them.
    for bad in ["$", "$?", "*?", "%?", "~?", ">?", "$-2", "*-2", "%-1", "~-1", ">-1", "=-1", "!-1", "|-1"] {
        check(format!("{bad}\r\n").as_bytes(), Err(E::Count));
    }
    for bad in ["$01", "$+1", "$1x", "*4294967297", "$281474976710657", "$99999999999999999999", "$ 1"] {
        check(format!("{bad}\r\n").as_bytes(), Err(E::Count));
    }
    let longest = "1".repeat(COUNT_HEADER_BYTES_MAX - 2);
    check(format!("${longest}").as_bytes(), Ok(None));
    check(format!("${longest}1").as_bytes(), Err(E::Count));
    for bad in
        ["+a\rb", "+\r\r\n", ":1\r\r\n", ":\r\r\n", "_\r\r", "$1\rx", "*1\r\r", "$1\r\nab", "$1\r\na\rb"]
    {
        check(bad.as_bytes(), Err(E::LineEnd));
    }
    check(b"*2\r\n:1\r\nx", Err(E::Marker(b'x')));
    // Promises are added up, not multiplied.
    check(&b"%4294967296\r\n".repeat(3), Ok(None));
}

#[test]
fn texts_are_checked_where_values_are_read() {
    for bad in [":", ":x", ":01", ":9223372036854775808", "_x", "#", "#x", ",", ",x", "(", "(-", "(1x"] {
        let input = format!("{bad}\r\n");
        assert_eq!(parse_value(input.as_bytes()), Err(ReplyError::Scalar), "{bad}");
        check(input.as_bytes(), Ok(Some(input.len())));
    }
}

#[test]
fn depth() {
    let nested = |depth: usize| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat();
    assert!(parse_value(&nested(VALUE_DEPTH_MAX)).unwrap().is_some());
    assert_eq!(parse_value(&nested(VALUE_DEPTH_MAX + 1)), Err(ReplyError::Depth));
    // Framing keeps no stack.
    let deep = nested(100_000);
    assert_eq!(reply_length(&deep), Ok(Some(deep.len())));
    assert_eq!(ReplyScanner::new().scan(&deep), Ok(ReplyStep::End(deep.len())));
}

#[test]
fn kinds() {
    for (frame, error, push) in [
        (&b"-ERR\r\n"[..], true, false),
        (b"!3\r\nERR\r\n", true, false),
        (b"+OK\r\n", false, false),
        (b">1\r\n+a\r\n", false, true),
        (b"|1\r\n+a\r\n-b\r\n+OK\r\n", false, false),
        (b"|1\r\n+a\r\n+b\r\n-ERR\r\n", true, false),
        (b"|1\r\n+a\r\n|1\r\n+a\r\n+b\r\n+b\r\n|0\r\n>0\r\n", false, true),
        (b"*1\r\n-ERR\r\n", false, false),
        (b"|1\r\n+a\r\n", false, false),
        (b"", false, false),
    ] {
        assert_eq!((is_error(frame), is_push(frame)), (error, push), "{}", frame.escape_ascii());
    }
}

#[test]
fn scanner_counts_a_bulk_down() {
    assert!(size_of::<ReplyScanner>() <= 48, "one for each backend is kept");
    let mut scanner = ReplyScanner::new();
    for (chunk, step, remaining) in [
        (&b"*2\r\n$10"[..], ReplyStep::More, 0),
        (b"00\r\n", ReplyStep::More, 1002),
        (&[b'v'; 900], ReplyStep::More, 102),
        (&[b'v'; 100], ReplyStep::More, 2),
        (b"\r", ReplyStep::More, 1),
        (b"\n:", ReplyStep::More, 0),
        (b"", ReplyStep::More, 0),
        (b"1\r\n+OK\r\n", ReplyStep::End(3), 0),
        (b"+OK\r\n+", ReplyStep::End(5), 0),
    ] {
        assert_eq!((scanner.scan(chunk), scanner.bulk_remaining()), (Ok(step), remaining));
    }
}
