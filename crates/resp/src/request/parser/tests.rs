//! Tables of requests: what each is, however its bytes arrive. Errors and quirks were compared with what a
//! redis-server 7.0.15 answers to the same bytes; it differs in that it takes too long a line where the end of it
//! happens to arrive in the same read.

use super::{PendingBulk, RequestParser, RequestStep};
use crate::{ProtocolError, RequestLimits, encode};

/// Feeds a request byte by byte, as the slowest client would, until it is understood.
fn step_by_step(input: &[u8], limits: &RequestLimits) -> (Result<RequestStep, ProtocolError>, RequestParser) {
    let mut parser = RequestParser::new();
    for len in 0..input.len() {
        let step = parser.parse(&input[..len], limits);
        if !matches!(step, Ok(RequestStep::Incomplete { .. })) {
            return (step, parser);
        }
    }
    (parser.parse(input, limits), parser)
}

fn arguments<'a>(parser: &RequestParser, frame: &'a [u8]) -> Vec<&'a [u8]> {
    parser.spans().iter().map(|span| span.of(frame)).collect()
}

#[track_caller]
fn check_limited(input: &[u8], limits: &RequestLimits, expected: Result<RequestStep, ProtocolError>) {
    let shown = input[..input.len().min(80)].escape_ascii();
    assert_eq!(RequestParser::new().parse(input, limits), expected, "{shown}");
    assert_eq!(step_by_step(input, limits).0, expected, "byte by byte: {shown}");
}

#[track_caller]
fn check(input: &[u8], expected: Result<RequestStep, ProtocolError>) {
    check_limited(input, &RequestLimits::default(), expected);
}

#[track_caller]
fn check_request(input: &[u8], len: usize, expected: &[&[u8]]) {
    check(input, Ok(RequestStep::Request { len }));
    let (_, parser) = step_by_step(input, &RequestLimits::default());
    assert_eq!(arguments(&parser, input), expected, "{}", input.escape_ascii());
    assert_eq!(parser.declared(), expected.len());
}

#[track_caller]
fn check_inline(line: &[u8], expected: &[&[u8]]) {
    for end in [&b"\n"[..], b"\r\n"] {
        let input = [line, end].concat();
        check(&input, Ok(RequestStep::Inline { len: input.len() }));
        let (_, parser) = step_by_step(&input, &RequestLimits::default());
        let mut frame = Vec::new();
        encode::request(&mut frame, expected);
        assert_eq!(parser.inline_frame().escape_ascii().to_string(), frame.escape_ascii().to_string());
        assert_eq!(arguments(&parser, parser.inline_frame()), expected);
        assert_eq!(parser.declared(), expected.len());
    }
}

#[test]
fn arrays() {
    check_request(b"*1\r\n$4\r\nPING\r\n", 14, &[b"PING"]);
    check_request(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n", 20, &[b"GET", b"k"]);
    check_request(b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$2\r\n\r\n\r\n", 27, &[b"SET", b"", b"\r\n"]);
    let long = vec![b'v'; 70_000];
    for len in [9, 10, 99, 100, 65536, 70_000] {
        let mut input = Vec::new();
        encode::request(&mut input, &[b"SET", b"key", &long[..len]]);
        check_request(&input, input.len(), &[b"SET", b"key", &long[..len]]);
    }
    // Redis skips these bytes without looking at them.
    check_request(b"*1\rx$4\rxPINGxx", 14, &[b"PING"]);
    check_request(b"*1\r\r$0\r\r\0\0", 10, &[b""]);
}

#[test]
fn nothing_to_do() {
    check(b"*0\r\n", Ok(RequestStep::Skip { len: 4 }));
    check(b"*-1\r\n", Ok(RequestStep::Skip { len: 5 }));
    check(b"*-2147483649\r\nPING\r\n", Ok(RequestStep::Skip { len: 14 }));
    check(b"\r\nPING\r\n", Ok(RequestStep::Skip { len: 2 }));
    check(b"\n", Ok(RequestStep::Skip { len: 1 }));
    check(b" \t \x0b\x0c\r\n", Ok(RequestStep::Skip { len: 7 }));
}

#[test]
fn incomplete() {
    let bulk = |index, start, len| Some(PendingBulk { index, start, len });
    for (input, bulk) in [
        (&b""[..], None),
        (b"*", None),
        (b"*1", None),
        (b"*1\r", None),
        (b"*1\r\n", None),
        (b"*1\r\n$", None),
        (b"*1\r\n$4\r", None),
        (b"*1\r\nPING", None),
        (b"*1\r\n$4\r\n", bulk(0, 8, 4)),
        (b"*1\r\n$4\r\nPING", bulk(0, 8, 4)),
        (b"*1\r\n$4\r\nPING\r", bulk(0, 8, 4)),
        (b"*2\r\n$3\r\nGET\r\n", None),
        (b"*2\r\n$3\r\nGET\r\n$1234\r\nab", bulk(1, 20, 1234)),
        (b"PING", None),
        (b"PING\r", None),
        (b"*1\0\r\n", None),
        (b"PING\0\r\n", None),
    ] {
        check(input, Ok(RequestStep::Incomplete { bulk }));
    }
}

#[test]
fn inline_requests() {
    check_inline(b"PING", &[b"PING"]);
    check_inline(b"  set  a\t b ", &[b"set", b"a", b"b"]);
    check_inline(b"a\x0bb\x0c \x0bc", &[b"a\x0bb\x0c", b"c"]);
    check_inline(b"a\rb", &[b"a", b"b"]);
    check_inline(b"\"\" ''", &[b"", b""]);
    check_inline(b"\"a b\" 'c d'", &[b"a b", b"c d"]);
    check_inline(b"x\"y z\" x'y z'", &[b"xy z", b"xy z"]);
    check_inline(br#""\x41\xfF\x00" "\n\r\t\b\a" "\"\\\q""#, &[b"A\xff\0", b"\n\r\t\x08\x07", b"\"\\q"]);
    check_inline(br#""\x4g\x" \x41"#, &[b"x4gx", br"\x41"]);
    check_inline(br"'\x41\n' 'it\'s'", &[br"\x41\n", b"it's"]);
    check_inline(b"$4", &[b"$4"]);
    check_inline(b"\xff\x80", &[b"\xff\x80"]);
}

#[test]
fn protocol_errors() {
    use ProtocolError as E;
    check(b"*1\r\nPING\r\n", Err(E::ExpectedBulk(b'P')));
    check(b"*1\r\n\r\n", Err(E::ExpectedBulk(b'\r')));
    check(b"*2\r\n$1\r\na\r\n:5\r\n", Err(E::ExpectedBulk(b':')));
    for bad in ["*x\r\n", "*\r\n", "*01\r\n", "*+1\r\n", "* 1\r\n", "*1 \r\n", "*-0\r\n", "*2147483648\r\n"] {
        check(bad.as_bytes(), Err(E::ArrayLength));
    }
    for bad in ["$x", "$", "$01", "$+1", "$-1", "$ 1", "$536870913", "$99999999999999999999"] {
        check(format!("*1\r\n{bad}\r\n").as_bytes(), Err(E::BulkLength));
    }
    for bad in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\\"", "'a\\'", "\"\\", "a \"", "''''"] {
        check(format!("{bad}\r\n").as_bytes(), Err(E::UnbalancedQuotes));
    }
}

#[test]
fn as_many_arguments_as_redis_takes() {
    check(b"*2147483647\r\n$1\r\na\r\n", Ok(RequestStep::Incomplete { bulk: None }));
}

#[test]
fn endless_lines() {
    const MAX: usize = 64 * 1024;
    let run = |prefix: &[u8], len: usize, end: &[u8]| [prefix, &vec![b'1'; len - prefix.len()], end].concat();
    let limits = RequestLimits::default();
    let whole = |input: &[u8]| RequestParser::new().parse(input, &limits);
    let incomplete = Ok(RequestStep::Incomplete { bulk: None });

    check(&run(b"a", MAX, b""), incomplete);
    check(&run(b"a", MAX + 1, b""), Err(ProtocolError::InlineTooLong));
    check(&run(b"a", MAX, b"\n"), Ok(RequestStep::Inline { len: MAX + 1 }));
    // However it arrives: the end comes too late even if it is there already.
    check(&run(b"a", MAX + 1, b"\n"), Err(ProtocolError::InlineTooLong));
    check(&run(b"\0", MAX + 1, b"\n"), Err(ProtocolError::InlineTooLong));

    check(&run(b"*", MAX, b""), incomplete);
    check(&run(b"*", MAX, b"\r\n"), Err(ProtocolError::ArrayLength));
    check(&run(b"*", MAX + 1, b""), Err(ProtocolError::ArrayHeaderTooLong));

    assert_eq!(whole(&run(b"*1\r\n$", MAX + 4, b"")), incomplete);
    assert_eq!(whole(&run(b"*1\r\n$", MAX + 4, b"\r\n")), Err(ProtocolError::BulkLength));
    check(&run(b"*1\r\n$", MAX + 5, b""), Err(ProtocolError::BulkHeaderTooLong));
    // Redis looks for the line's end before it looks for `$`.
    check(&run(b"*1\r\nx", MAX + 5, b""), Err(ProtocolError::BulkHeaderTooLong));
}

#[test]
fn limits() {
    let before_auth = RequestLimits::UNAUTHENTICATED;
    check_limited(b"*11\r\n", &before_auth, Err(ProtocolError::UnauthenticatedArrayLength));
    check_limited(b"*2147483647\r\n", &before_auth, Err(ProtocolError::UnauthenticatedArrayLength));
    check_limited(b"*2147483648\r\n", &before_auth, Err(ProtocolError::ArrayLength));
    check_limited(b"*10\r\n", &before_auth, Ok(RequestStep::Incomplete { bulk: None }));
    check_limited(b"*1\r\n$16385\r\n", &before_auth, Err(ProtocolError::UnauthenticatedBulkLength));
    check_limited(b"*1\r\n$536870913\r\n", &before_auth, Err(ProtocolError::BulkLength));
    let pending = PendingBulk { index: 0, start: 12, len: 16384 };
    check_limited(b"*1\r\n$16384\r\n", &before_auth, Ok(RequestStep::Incomplete { bulk: Some(pending) }));

    let small =
        RequestLimits { bulk_bytes_max: 5, args_max: 2, inline_bytes_max: 8, ..RequestLimits::default() };
    check_limited(b"*3\r\n$1\r\n", &small, Err(ProtocolError::ArrayLength));
    check_limited(b"*1\r\n$6\r\nabcdef\r\n", &small, Err(ProtocolError::BulkLength));
    check_limited(b"*1\r\n$5\r\nabcde\r\n", &small, Ok(RequestStep::Request { len: 15 }));
    check_limited(b"abcdefghi", &small, Err(ProtocolError::InlineTooLong));
    // A header is never too long for the quick way to read it, and then not for the general way either.
    check_limited(&[&b"*"[..], &[b'0'; 31]].concat(), &small, Ok(RequestStep::Incomplete { bulk: None }));
    check_limited(&[&b"*"[..], &[b'0'; 32]].concat(), &small, Err(ProtocolError::ArrayHeaderTooLong));
}

#[test]
fn too_long_for_spans() {
    let limits = RequestLimits { bulk_bytes_max: u32::MAX, ..RequestLimits::default() };
    check_limited(b"*1\r\n$4294967295\r\n", &limits, Err(ProtocolError::TooLong));
    let len = u32::MAX as usize - 17 - 2;
    let pending = PendingBulk { index: 0, start: 17, len };
    let input = format!("*1\r\n${len}\r\n");
    check_limited(input.as_bytes(), &limits, Ok(RequestStep::Incomplete { bulk: Some(pending) }));
    let input = format!("*1\r\n${}\r\n", len + 1);
    check_limited(input.as_bytes(), &limits, Err(ProtocolError::TooLong));
}

#[test]
fn one_parser_reads_request_after_request() {
    let mut parser = RequestParser::new();
    let limits = RequestLimits::default();
    let mut input = &b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n\r\nget b\n*0\r\n*1\r\n$4\r\nPING\r\n"[..];
    let mut seen = Vec::new();
    while !input.is_empty() {
        let (len, frame) = match parser.parse(input, &limits).unwrap() {
            RequestStep::Request { len } => (len, &input[..len]),
            RequestStep::Inline { len } => (len, parser.inline_frame()),
            RequestStep::Skip { len } => {
                assert!(parser.spans().is_empty());
                (len, &input[..0])
            }
            RequestStep::Incomplete { .. } => panic!("a request is missing its end"),
        };
        seen.push(arguments(&parser, frame).join(&b' '));
        input = &input[len..];
    }
    assert_eq!(seen, [&b"GET a"[..], b"", b"get b", b"", b"PING"]);
}

#[test]
fn reset_forgets_half_a_request() {
    let limits = RequestLimits::default();
    for half in [&b"*2\r\n$3\r\nGET\r\n$10\r\nabc"[..], b"*2\r\n$3\r\nGET\r\n$", b"*2", b"PIN"] {
        let mut parser = RequestParser::new();
        assert!(matches!(parser.parse(half, &limits), Ok(RequestStep::Incomplete { .. })));
        parser.reset();
        assert_eq!((parser.spans().len(), parser.declared()), (0, 0));
        let step = parser.parse(b"*1\r\n$4\r\nPING\r\n", &limits);
        assert_eq!(step, Ok(RequestStep::Request { len: 14 }));
    }
}

/// Room taken by one huge request is given back; room for usual ones is kept.
#[test]
fn room_for_spans() {
    let limits = RequestLimits::default();
    let mut parser = RequestParser::new();
    let mut huge = Vec::new();
    encode::request(&mut huge, &vec![&b""[..]; 10_000]);
    parser.parse(&huge, &limits).unwrap();
    assert!(parser.spans.capacity() >= 10_000);
    parser.parse(b"*1\r\n$4\r\nPING\r\n", &limits).unwrap();
    let room = parser.spans.capacity();
    assert!(room <= super::SPANS_KEPT_MAX);
    parser.parse(b"*1\r\n$4\r\nPING\r\n", &limits).unwrap();
    assert_eq!(parser.spans.capacity(), room);
}
