//! The request parser: a stream of requests in pieces gives what it gives as a whole, and every answer keeps
//! its promises. The first byte chooses the limits and the size of pieces; the rest is the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{PendingBulk, ProtocolError, RequestLimits, RequestParser, RequestStep, encode};

/// One understood request: how many bytes it took and what its arguments are.
#[derive(Debug, PartialEq)]
struct Understood {
    len: usize,
    arguments: Vec<Vec<u8>>,
}

/// A stream's requests, and how it ends.
#[derive(Debug, PartialEq)]
struct Stream {
    requests: Vec<Understood>,
    rest: Result<Option<PendingBulk>, ProtocolError>,
}

fn read(stream: &[u8], piece_bytes: usize, limits: &RequestLimits) -> Stream {
    let mut parser = RequestParser::new();
    let mut requests = Vec::new();
    let mut start = 0;
    let mut arrived = stream.len().min(piece_bytes);
    loop {
        let buffer = &stream[start..arrived];
        let (len, frame) = match parser.parse(buffer, limits) {
            Err(error) => return Stream { requests, rest: Err(error) },
            Ok(RequestStep::Incomplete { bulk }) => {
                if let Some(bulk) = bulk {
                    assert_eq!(bulk.index, parser.spans().len());
                    assert!(bulk.index < parser.declared());
                    assert!(bulk.start <= buffer.len() + 1, "the byte after CR may be missing, no more");
                    assert!(bulk.start + bulk.len + 2 > buffer.len(), "an argument is missing that is there");
                }
                if arrived == stream.len() {
                    return Stream { requests, rest: Ok(bulk) };
                }
                arrived = stream.len().min(arrived + piece_bytes);
                continue;
            }
            Ok(RequestStep::Request { len }) => (len, &buffer[..len]),
            Ok(RequestStep::Inline { len }) => {
                check_inline_frame(&parser);
                (len, parser.inline_frame())
            }
            Ok(RequestStep::Skip { len }) => {
                assert!(parser.spans().is_empty());
                (len, &buffer[..0])
            }
        };
        assert!(len > 0 && len <= buffer.len());
        assert_eq!(parser.spans().len(), parser.declared());
        let arguments = parser.spans().iter().map(|span| span.of(frame).to_vec()).collect();
        requests.push(Understood { len, arguments });
        start += len;
    }
}

/// An inline request written again is the array that its arguments make.
fn check_inline_frame(parser: &RequestParser) {
    let frame = parser.inline_frame();
    let arguments: Vec<&[u8]> = parser.spans().iter().map(|span| span.of(frame)).collect();
    let mut expected = Vec::new();
    encode::request(&mut expected, &arguments);
    assert_eq!(frame, expected);
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, stream)) = input.split_first() else { return };
    let mut limits =
        if choice & 1 == 0 { RequestLimits::AUTHENTICATED } else { RequestLimits::UNAUTHENTICATED };
    if choice & 2 != 0 {
        limits = RequestLimits { bulk_bytes_max: 20, args_max: 4, inline_bytes_max: 16, ..limits };
    }
    let whole = read(stream, stream.len(), &limits);
    assert_eq!(read(stream, 1, &limits), whole);
    assert_eq!(read(stream, 2 + usize::from(choice >> 2), &limits), whole);
});
