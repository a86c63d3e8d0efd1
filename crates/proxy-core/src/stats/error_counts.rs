//! The codes of error replies that are counted one by one.

/// The first word of an error reply. The set is closed, so that a node or a script that makes up codes cannot
/// make the statistics grow; those all count as `OTHER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorKind(u8);

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

impl ErrorKind {
    /// How many kinds there are.
    pub const COUNT: usize = CODES.len() + 1;

    /// The kind of an error reply, with or without the leading `-` or `!`.
    pub fn of_reply(reply: &[u8]) -> ErrorKind {
        let text = match reply {
            [b'-', text @ ..] => text,
            // RESP3's long error: the code follows the length line.
            [b'!', rest @ ..] => rest.split(|byte| *byte == b'\n').nth(1).unwrap_or_default(),
            text => text,
        };
        let word = text.split(|byte| matches!(byte, b' ' | b'\r' | b'\n')).next().unwrap_or_default();
        let row = CODES.iter().position(|code| code.as_bytes() == word);
        ErrorKind(row.unwrap_or(CODES.len()) as u8)
    }

    /// Dense, from 0 to [`ErrorKind::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The code of the kind with that index; `OTHER` for those without a row.
    pub fn name(index: usize) -> &'static str {
        CODES.get(index).copied().unwrap_or("OTHER")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides() {
        for (reply, expected) in [
            ("-ERR no\r\n", "ERR"),
            ("-MOVED 3 127.0.0.1:1\r\n", "MOVED"),
            ("-OOM\r\n", "OOM"),
            ("OOM command not allowed", "OOM"),
            ("!10\r\nBUSY twice\r\n", "BUSY"),
            ("-MYSCRIPT failed\r\n", "OTHER"),
            ("-\r\n", "OTHER"),
            ("", "OTHER"),
            ("!", "OTHER"),
        ] {
            assert_eq!(ErrorKind::name(ErrorKind::of_reply(reply.as_bytes()).index()), expected, "{reply}");
        }
    }
}
