//! Replies: length, resumable scan and tree agree on where each reply of a stream ends, and a tree is written
//! so that it can be read again. The first byte chooses the size of pieces; the rest is the stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use resp::{
    Protocol, ReplyError, ReplyScanner, ReplyStep, VALUE_DEPTH_MAX, encode, is_error, is_push, parse_value,
    reply_length,
};

/// The lengths of a stream's whole replies, and whether it ends in an error.
type Lengths = (Vec<usize>, Result<(), ReplyError>);

fn by_length(stream: &[u8]) -> Lengths {
    let mut lengths = Vec::new();
    let mut rest = stream;
    loop {
        match reply_length(rest) {
            Ok(Some(len)) => {
                check_whole(&rest[..len]);
                lengths.push(len);
                rest = &rest[len..];
            }
            Ok(None) => return (lengths, Ok(())),
            Err(error) => return (lengths, Err(error)),
        }
    }
}

fn by_scan(stream: &[u8], piece_bytes: usize) -> Lengths {
    let mut scanner = ReplyScanner::new();
    let mut lengths = Vec::new();
    let mut before = 0;
    for piece in stream.chunks(piece_bytes) {
        let mut rest = piece;
        while !rest.is_empty() {
            match scanner.scan(rest) {
                Ok(ReplyStep::End(len)) => {
                    assert!(len > 0 && len <= rest.len());
                    assert_eq!(scanner.bulk_remaining(), 0);
                    lengths.push(before + len);
                    before = 0;
                    rest = &rest[len..];
                }
                Ok(ReplyStep::More) => {
                    before += rest.len();
                    rest = &[];
                }
                Err(error) => return (lengths, Err(error)),
            }
        }
    }
    (lengths, Ok(()))
}

/// What holds for one whole reply.
fn check_whole(reply: &[u8]) {
    assert_eq!(reply_length(&reply[..reply.len() - 1]), Ok(None), "a reply ends before its end");
    assert!(!(is_error(reply) && is_push(reply)));
    match parse_value(reply) {
        Ok(Some((tree, len))) => {
            assert_eq!(len, reply.len());
            let mut written = Vec::new();
            encode::value(&mut written, &tree);
            // Not the same tree always: an LF that a line ought not to have is not written again. But that
            // tree is written as itself.
            let Ok(Some((again, len))) = parse_value(&written) else {
                panic!("what was written is no reply")
            };
            assert_eq!(len, written.len());
            let mut rewritten = Vec::new();
            encode::value(&mut rewritten, &again);
            assert_eq!(rewritten, written);
            for protocol in [Protocol::Resp2, Protocol::Resp3] {
                written.clear();
                encode::value_as(&mut written, protocol, &tree);
                assert_eq!(reply_length(&written), Ok(Some(written.len())));
            }
        }
        Err(ReplyError::Scalar) => {}
        Err(ReplyError::Depth) => assert!(reply.len() > 4 * VALUE_DEPTH_MAX),
        other => panic!("a whole reply gives no tree: {other:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, stream)) = input.split_first() else { return };
    let whole = by_length(stream);
    assert_eq!(by_scan(stream, 1), whole);
    assert_eq!(by_scan(stream, 1 + usize::from(choice)), whole);
});
