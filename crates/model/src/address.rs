//! `host:port`, of a proxy or of a node.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decimal;

/// The longest host name, as DNS has it.
const HOST_BYTES_MAX: usize = 253;

/// The name of the loopback on every machine.
const LOOPBACK_NAME: &str = "localhost";

/// Where a proxy or a node listens. Cheap to clone. Not resolved: two names of one machine are two addresses, see
/// [`Address::machine`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// The address of a port on a host: an IPv4 address, an IPv6 address without brackets, or a host name.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        if port == 0 {
            return Err(AddressError::Port);
        }
        if let Ok(six) = host.parse::<Ipv6Addr>() {
            // Printed anew, because one IPv6 address has many spellings and addresses are compared as text.
            return Ok(Self { host: six.to_string().into(), port });
        }
        let only_numbers = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let fits = if only_numbers { host.parse::<Ipv4Addr>().is_ok() } else { is_host_name(host) };
        if fits { Ok(Self { host: host.into(), port }) } else { Err(AddressError::Host) }
    }

    /// The host; an IPv6 address is without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host in one spelling for all names that are plainly the same machine: in lower case, without a final dot, an IPv4
    /// address that is written as an IPv6 address as itself, and `127.0.0.1` for `localhost` and `::1`. Nothing is looked up,
    /// so other names of one machine stay different.
    #[must_use]
    pub fn machine(&self) -> Cow<'_, str> {
        let is_plain = |byte: u8| !byte.is_ascii_uppercase() && byte != b':';
        if self.host.bytes().all(is_plain) && !self.host.ends_with('.') && !self.host.ends_with(LOOPBACK_NAME)
        {
            return Cow::Borrowed(&self.host);
        }
        let name = self.host.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        Cow::Owned(match name.parse::<Ipv6Addr>() {
            Ok(six) if six == Ipv6Addr::LOCALHOST => Ipv4Addr::LOCALHOST.to_string(),
            Ok(six) => six.to_ipv4_mapped().map_or_else(|| six.to_string(), |four| four.to_string()),
            Err(_) if is_loopback(name) => Ipv4Addr::LOCALHOST.to_string(),
            Err(_) => name.to_owned(),
        })
    }

    /// Whether both are the same place, by whatever names of its machine ([`Address::machine`]).
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.port == other.port && (self.host == other.host || self.machine() == other.machine())
    }

    /// The port, 1 to 65535.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// Whether a name in lower case is the loopback's: the whole of this domain is (RFC 6761).
fn is_loopback(name: &str) -> bool {
    name.strip_suffix(LOOPBACK_NAME).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn is_host_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(allowed)
}

/// What is wrong with the text of an address. The writer's fault; do not retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `:` before a port.
    #[error("an address is host:port")]
    Form,
    /// The host is not an IPv4 address, an IPv6 address in brackets or a host name.
    #[error("the host of an address is an IPv4 address, an [IPv6 address] or a host name")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port of an address is a number from 1 to 65535")]
    Port,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::Form)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let six = rest.strip_suffix(']').ok_or(AddressError::Host)?;
                six.parse::<Ipv6Addr>().map_err(|_| AddressError::Host)?;
                six
            }
            // Without brackets one cannot tell where the address ends and the port begins.
            None if host.contains(':') => return Err(AddressError::Host),
            None => host,
        };
        let port = decimal::parse(port).and_then(|n| u16::try_from(n).ok()).ok_or(AddressError::Port)?;
        Self::new(host, port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError};

    #[test]
    fn text_form() {
        let check = |text: &str, expected: Result<(&str, u16, &str), AddressError>| {
            let parsed: Result<Address, _> = text.parse();
            let seen = parsed.as_ref().map(|a| (a.host().to_owned(), a.port(), a.to_string()));
            let expected = expected.map(|(host, port, printed)| (host.to_owned(), port, printed.to_owned()));
            assert_eq!(seen.map_err(|e| *e), expected, "{text:?}");
        };
        check("127.0.0.1:6379", Ok(("127.0.0.1", 6379, "127.0.0.1:6379")));
        check("redis-0.redis_ns.svc:1", Ok(("redis-0.redis_ns.svc", 1, "redis-0.redis_ns.svc:1")));
        check("[::1]:65535", Ok(("::1", 65535, "[::1]:65535")));
        check("[0:0::0:1]:7", Ok(("::1", 7, "[::1]:7")));
        check("::1:6379", Err(AddressError::Host));
        check("[127.0.0.1]:6379", Err(AddressError::Host));
        check("[::1:6379", Err(AddressError::Host));
        check("256.0.0.1:6379", Err(AddressError::Host));
        check("1.2.3:6379", Err(AddressError::Host));
        check(":6379", Err(AddressError::Host));
        check("a b:6379", Err(AddressError::Host));
        check("host:0", Err(AddressError::Port));
        check("host:65536", Err(AddressError::Port));
        check("host:", Err(AddressError::Port));
        check("host:+1", Err(AddressError::Port));
        check("host", Err(AddressError::Form));
        check("", Err(AddressError::Form));
    }

    #[test]
    fn names_of_one_machine() {
        let check = |one: &str, other: &str, expected: bool| {
            let [one, other] = [one, other].map(|text| text.parse::<Address>().unwrap());
            assert_eq!(one.is_same_place(&other), expected, "{one} {other}");
            assert_eq!(
                one.machine() == other.machine() && one.port() == other.port(),
                expected,
                "{one} {other}"
            );
        };
        check("127.0.0.1:1", "localhost:1", true);
        check("localhost:1", "[::1]:1", true);
        check("LocalHost.:1", "[::ffff:127.0.0.1]:1", true);
        check("redis.localhost:1", "localhost:1", true);
        check("DB-1.example.:1", "db-1.example:1", true);
        check("[::ffff:10.0.0.1]:1", "10.0.0.1:1", true);
        check("127.0.0.1:1", "localhost:2", false);
        // Tests and trials take these for hosts of their own.
        check("127.0.0.1:1", "127.0.0.2:1", false);
        check("db-1:1", "db-1.example:1", false);
        check("notlocalhost:1", "localhost:1", false);
    }
}
