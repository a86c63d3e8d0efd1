//! Error replies by their code, as INFO's section `Errorstats` tells of them.
//!
//! A code is what stands before the first space. Scripts and modules have codes of their own; a limited number of those is
//! counted one by one.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::Counter;

/// Codes without a row below that a worker counts one by one. Redis 8 has the same limit for all codes.
const OTHERS_MAX: usize = 128;
/// As in Redis, the first space is looked for in this many bytes, the leading `-` among them.
const CODE_BYTES_MAX: usize = 32;
/// The code of an error that has none.
const WITHOUT_CODE: &str = "ERR";
/// What codes beyond [`OTHERS_MAX`] are counted as.
const REST: &str = "OTHER";

/// The codes of Redis 7, of modules in common use, and of this proxy.
const CODES: [&str; 29] = [
    "ERR",
    "MOVED",
    "ASK",
    "CROSSSLOT",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "WRONGTYPE",
    "NOAUTH",
    "WRONGPASS",
    "NOPROTO",
    "NOPERM",
    "NOSCRIPT",
    "NOGROUP",
    "NOREPLICAS",
    "EXECABORT",
    "LOADING",
    "BUSY",
    "BUSYKEY",
    "BUSYGROUP",
    "MISCONF",
    "OOM",
    "READONLY",
    "MASTERDOWN",
    "UNKILLABLE",
    "UNBLOCKED",
    "INVALIDOBJ",
    "ERR_CLUSTER_NOT_FOUND",
    "ERR_TOO_MANY_REDIRECTIONS",
    "UNSTABLE",
];

/// Counters of one worker, its only writer.
#[derive(Debug)]
pub(super) struct ErrorCounts {
    known: [Counter; CODES.len()],
    /// Filled from the front.
    others: Box<[OnceLock<Other>]>,
    rest: Counter,
}

#[derive(Debug)]
struct Other {
    code: Box<[u8]>,
    count: Counter,
}

impl ErrorCounts {
    /// All zero.
    pub(super) fn new() -> ErrorCounts {
        ErrorCounts {
            known: std::array::from_fn(|_| Counter::default()),
            others: std::iter::repeat_with(OnceLock::new).take(OTHERS_MAX).collect(),
            rest: Counter::default(),
        }
    }

    /// Counts an error reply.
    pub(super) fn count(&self, reply: &[u8]) {
        let code = code_of(reply);
        match CODES.iter().position(|known| known.as_bytes() == code) {
            Some(row) => self.known[row].increment(),
            None => self.other(code).increment(),
        }
    }

    fn other(&self, code: &[u8]) -> &Counter {
        for place in &self.others {
            let other = place.get_or_init(|| Other { code: code.into(), count: Counter::default() });
            if *other.code == *code {
                return &other.count;
            }
        }
        &self.rest
    }

    /// The codes that were counted, each as it can stand in a line of INFO.
    pub(super) fn counted(&self) -> impl Iterator<Item = (Cow<'static, str>, u64)> {
        let known = CODES.iter().map(|code| Cow::Borrowed(*code)).zip(&self.known);
        let others = self.others.iter().map_while(OnceLock::get);
        let others = others.map(|other| (Cow::Owned(printable(&other.code)), &other.count));
        let all = known.chain(others).chain([(Cow::Borrowed(REST), &self.rest)]);
        all.map(|(code, count)| (code, count.get())).filter(|(_, count)| *count > 0)
    }
}

/// The code of an error reply, with or without the leading `-` or `!`. An error that does not begin with one is taken for
/// `ERR`, as in Redis.
fn code_of(reply: &[u8]) -> &[u8] {
    let text = match reply {
        [b'-', text @ ..] => text,
        // RESP3's long error: the code follows the length line.
        [b'!', rest @ ..] => rest.split(|byte| *byte == b'\n').nth(1).unwrap_or_default(),
        text => text,
    };
    let beginning = &text[..text.len().min(CODE_BYTES_MAX - 1)];
    match beginning.iter().position(|byte| *byte == b' ') {
        Some(end) => &text[..end],
        None => WITHOUT_CODE.as_bytes(),
    }
}

/// As Redis writes names that it did not choose: without what ends a field or a line.
fn printable(code: &[u8]) -> String {
    let text = String::from_utf8_lossy(code);
    text.replace(|letter: char| matches!(letter, '#' | ':') || letter.is_control(), "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_code() {
        for (reply, expected) in [
            ("-ERR no\r\n", "ERR"),
            ("-MOVED 3 127.0.0.1:1\r\n", "MOVED"),
            ("OOM command not allowed", "OOM"),
            ("!10\r\nBUSY twice\r\n", "BUSY"),
            ("-MYSCRIPT failed\r\n", "MYSCRIPT"),
            ("-a:b#c d\r\n", "a_b_c"),
            ("-OOM\r\n", "ERR"),
            ("-ABCDEFGHIJKLMNOPQRSTUVWXYZ12345 x\r\n", "ERR"),
            ("-ABCDEFGHIJKLMNOPQRSTUVWXYZ1234 x\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ1234"),
            ("-\r\n", "ERR"),
            ("", "ERR"),
            ("!", "ERR"),
        ] {
            let counts = ErrorCounts::new();
            counts.count(reply.as_bytes());
            let counted: Vec<_> = counts.counted().collect();
            assert_eq!(counted, [(Cow::Borrowed(expected), 1)], "{reply}");
        }
    }

    #[test]
    fn codes_beyond_the_limit_are_counted_together() {
        let counts = ErrorCounts::new();
        for _ in 0..2 {
            (0..OTHERS_MAX + 10).for_each(|code| counts.count(format!("-C{code} x\r\n").as_bytes()));
        }
        let counted: Vec<_> = counts.counted().collect();
        assert_eq!(counted.len(), OTHERS_MAX + 1);
        let (last, others) = counted.split_last().unwrap();
        assert_eq!(*last, (Cow::Borrowed(REST), 20));
        assert!(others.iter().all(|(_, count)| *count == 2));
    }
}
