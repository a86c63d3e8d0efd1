//! What a primary without slots answers about its data: as Redis answers for an empty server.

use resp::{Protocol, encode};

use super::catalog::Merge;

/// The reply to a command without a key that looks at all data, or removes it; `None` for commands that are not about
/// data.
#[must_use]
pub fn empty_reply(name: &str, kind: Merge, protocol: Protocol) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match (kind, name) {
        (Merge::Sum, "dbsize") => encode::integer(&mut out, 0),
        (Merge::Concat, _) => encode::array(&mut out, 0),
        (Merge::Scan, _) => {
            encode::array(&mut out, 2);
            encode::bulk(&mut out, b"0");
            encode::array(&mut out, 0);
        }
        (Merge::AnyNonNull, _) => encode::null(&mut out, protocol),
        (Merge::AllOk, "flushall" | "flushdb") => encode::simple(&mut out, "OK"),
        _ => return None,
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_there() {
        for (name, kind, expected) in [
            ("dbsize", Merge::Sum, Some(":0\r\n")),
            ("latency|reset", Merge::Sum, None),
            ("keys", Merge::Concat, Some("*0\r\n")),
            ("scan", Merge::Scan, Some("*2\r\n$1\r\n0\r\n*0\r\n")),
            ("randomkey", Merge::AnyNonNull, Some("$-1\r\n")),
            ("flushall", Merge::AllOk, Some("+OK\r\n")),
            ("script|load", Merge::AllOk, None),
        ] {
            let found = empty_reply(name, kind, Protocol::Resp2);
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{name}");
        }
    }
}
