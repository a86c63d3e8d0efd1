//! By what a node, or another proxy, knows a connection of this proxy, which it is told to close.

use std::net::SocketAddr;

/// Which of its clients a connection is at its other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) enum ConnectionName {
    /// As the other end says itself (CLIENT INFO, since Redis 6.2), so addresses may be translated on the way. Numbers and
    /// addresses are both used again, but no process gives a number twice, and no two connections have one address at a time.
    Told { number: u64, address: Box<str> },
    /// Our end of it as we see it, where the other end is not asked or does not tell.
    End(SocketAddr),
}

impl ConnectionName {
    /// What a reply to CLIENT INFO says.
    pub(in crate::engine) fn of_info(reply: &[u8]) -> Option<ConnectionName> {
        if reply.starts_with(b"-") {
            return None;
        }
        let mut words = str::from_utf8(reply).ok()?.split_ascii_whitespace();
        // The first field stands behind the reply's length, or in RESP3 behind the kind of text.
        let number = words.find_map(|word| word.strip_prefix("txt:").unwrap_or(word).strip_prefix("id="))?;
        let address = words.find_map(|word| word.strip_prefix("addr="))?;
        Some(ConnectionName::Told { number: number.parse().ok()?, address: address.into() })
    }

    /// Writes the order to close it.
    pub(in crate::engine) fn kill(&self, out: &mut Vec<u8>) {
        match self {
            ConnectionName::Told { number, address } => {
                let number = number.to_string();
                let order: [&[u8]; 6] =
                    [b"CLIENT", b"KILL", b"ID", number.as_bytes(), b"ADDR", address.as_bytes()];
                resp::encode::request(out, &order);
            }
            ConnectionName::End(end) => {
                resp::encode::request(out, &[b"CLIENT", b"KILL", b"ADDR", end.to_string().as_bytes()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_calls_a_connection() {
        let told = |number, address: &str| Some(ConnectionName::Told { number, address: address.into() });
        for (reply, expected) in [
            ("$40\r\nid=7 addr=10.0.0.1:5 laddr=10.0.0.2:6 fd=8\r\n", told(7, "10.0.0.1:5")),
            ("=40\r\ntxt:id=12 addr=[::1]:5 laddr=[::1]:6\n\r\n", told(12, "[::1]:5")),
            ("$20\r\nid=3 laddr=[::1]:6\r\n", None),
            ("-ERR unknown subcommand id=3 addr=1.2.3.4:5\r\n", None),
            ("+OK\r\n", None),
        ] {
            assert_eq!(ConnectionName::of_info(reply.as_bytes()), expected, "{reply}");
        }
        let mut order = Vec::new();
        told(7, "10.0.0.1:5").unwrap().kill(&mut order);
        let words: Vec<&str> = str::from_utf8(&order).unwrap().split("\r\n").collect();
        assert_eq!(words[0], "*6");
        assert_eq!([words[6], words[8], words[10], words[12]], ["ID", "7", "ADDR", "10.0.0.1:5"]);
    }
}
