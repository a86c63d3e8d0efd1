//! Replies in, reply out.

use super::merge;
use crate::command::Merge;
use crate::errors::REPLIES_DIFFER;
use resp::Protocol::{self, Resp2, Resp3};

/// Bytes are written with `~` for CR LF.
fn check(kind: Merge, protocol: Protocol, parts: &[&str], expected: &str) {
    let wire = |text: &str| text.replace('~', "\r\n").into_bytes();
    let parts: Vec<Vec<u8>> = parts.iter().map(|part| wire(part)).collect();
    let mut out = b"+before\r\n".to_vec();
    merge(kind, &parts, protocol, &mut out);
    let expected = wire(&format!("+before~{expected}"));
    assert_eq!(out, expected, "{kind:?} of {parts:?} gave {}", String::from_utf8_lossy(&out));
}

#[test]
fn replies_merge() {
    let mismatch = &*format!("-{REPLIES_DIFFER}~");
    let cases: &[(Merge, &[&str], &str)] = &[
        (Merge::Sum, &[":1~", ":2~", ":3~"], ":6~"),
        (Merge::Sum, &[":1~", "-ERR a~", "-ERR b~"], "-ERR a~"),
        (Merge::Sum, &[":9223372036854775807~", ":1~"], ":9223372036854775807~"),
        (Merge::Sum, &[":1~", "+OK~"], mismatch),
        (Merge::Sum, &["+anything~"], "+anything~"),
        (Merge::Min, &[":5~", ":2~", ":3~"], ":2~"),
        (Merge::MinEach, &["*2~:1~:1~", "*2~:1~:0~"], "*2~:1~:0~"),
        (Merge::MinEach, &["*2~:1~:1~", "*1~:1~"], mismatch),
        (Merge::Concat, &["*1~$1~a~", "*0~", "*2~$1~b~$1~c~"], "*3~$1~a~$1~b~$1~c~"),
        (Merge::Concat, &["*1~$1~a~", "+OK~"], mismatch),
        (Merge::AnyNonNull, &["$-1~", "$1~a~", "$1~b~"], "$1~a~"),
        (Merge::AnyNonNull, &["$-1~", "$-1~"], "$-1~"),
        (Merge::AllOk, &["+OK~", "+OK~"], "+OK~"),
        (Merge::AllOk, &["+OK~", "-ERR full~"], "-ERR full~"),
        (Merge::AllOk, &["$1~a~", "$1~b~"], mismatch),
        (Merge::OneOk, &["-NOTBUSY no~", "+OK~"], "+OK~"),
        (Merge::OneOk, &["-NOTBUSY no~", "-UNKILLABLE x~"], "-UNKILLABLE x~"),
        (Merge::OneOk, &["-NOTBUSY no~", "-NOTBUSY no~"], "-NOTBUSY no~"),
        (Merge::Text, &["$2~hi~", "$2~hi~", "$2~ho~"], "$6~hi\n\nho~"),
        (Merge::ByTime, &["*2~*2~:1~:5~*2~:9~:5~", "*1~*2~:4~:7~"], "*3~*2~:1~:5~*2~:4~:7~*2~:9~:5~"),
        (
            Merge::LatestEvents,
            &["*1~*4~$4~fork~:10~:3~:8~", "*2~*4~$4~fork~:20~:5~:6~*4~$3~aof~:1~:2~:3~"],
            "*2~*4~$4~fork~:20~:5~:8~*4~$3~aof~:1~:2~:3~",
        ),
        (Merge::LatestEvents, &["*1~*4~$4~fork~:10~:3~:8~", "*1~*1~$4~fork~"], mismatch),
    ];
    for (kind, parts, expected) in cases {
        check(*kind, Resp2, parts, expected);
    }
}

#[test]
fn maps_add_up() {
    let cases: &[(Protocol, &[&str], &str)] = &[
        (Resp2, &["*4~$1~a~:1~$1~b~$3~1.5~", "*4~$1~a~:2~$1~b~$3~2.5~"], "*4~$1~a~:3~$1~b~$1~2~"),
        (Resp3, &["%2~$1~a~:1~$1~b~,1.5~", "%2~$1~a~:2~$1~b~,2.25~"], "%2~$1~a~:3~$1~b~,1.875~"),
        (Resp3, &["%1~$1~a~:1~", "%1~$1~b~:2~"], "%2~$1~a~:1~$1~b~:2~"),
        (Resp3, &["%1~$1~a~%1~$1~x~:1~", "%1~$1~a~%1~$1~x~:4~"], "%1~$1~a~%1~$1~x~:5~"),
        (Resp2, &["*0~", "*2~$1~a~:1~"], "*2~$1~a~:1~"),
        (
            Resp2,
            &["*2~$18~keys.bytes-per-key~:10~", "*2~$18~keys.bytes-per-key~:20~"],
            "*2~$18~keys.bytes-per-key~:15~",
        ),
        // Calls up to a bound: the second has reached 5 by 4, where it has no bound of its own.
        (
            Resp3,
            &["%1~$1~h~%2~:2~:1~:4~:3~", "%1~$1~h~%2~:1~:5~:8~:6~"],
            "%1~$1~h~%4~:1~:5~:2~:6~:4~:8~:8~:9~",
        ),
    ];
    for (protocol, parts, expected) in cases {
        check(Merge::SumFields, *protocol, parts, expected);
    }
}

#[test]
fn verbatim_text_stays_verbatim() {
    check(Merge::Text, Resp3, &["=6~txt:hi~", "=6~txt:ho~"], "=10~txt:hi\n\nho~");
}
