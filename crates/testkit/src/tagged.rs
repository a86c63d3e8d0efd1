//! Values that carry the name of their key, so that a reply that went to the wrong request shows at once.

use anyhow::{Result, bail, ensure};
use resp::Value;

use crate::connection::Connection;
use crate::frame::Frame;

/// What a right or excusable reply was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key's own value, whole.
    Right,
    /// An error reply, with its text.
    Failed(String),
}

/// The value of a key: its name, then filling up to `bytes` that differs from key to key.
#[must_use]
pub fn value(key: &str, bytes: usize) -> Vec<u8> {
    format!("<{key}>").bytes().cycle().take(bytes.max(key.len() + 2)).collect()
}

/// Judges the reply to a GET of `key`, whose value has `bytes` bytes.
///
/// # Errors
/// When the reply is neither the key's value nor an error: the fault that this module exists to find.
pub fn judge(key: &str, bytes: usize, reply: &Frame) -> Result<Verdict> {
    if let Some(text) = reply.error() {
        return Ok(Verdict::Failed(text));
    }
    match reply.value()? {
        Value::Bulk(got) if got == value(key, bytes) => Ok(Verdict::Right),
        _ => bail!("GET {key} was answered with {reply:?}"),
    }
}

/// Stores every key's value.
///
/// # Errors
/// When one is not answered OK.
pub fn store(connection: &mut Connection, keys: &[String], bytes: usize) -> Result<()> {
    for key in keys {
        let reply = connection.call(&[b"SET", key.as_bytes(), &value(key, bytes)])?;
        ensure!(reply.expect_ok().is_ok(), "SET {key}: {reply:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reply: &[u8], expected: Option<&Verdict>) {
        let verdict = judge("k1", 10, &Frame::new(reply.to_vec()));
        assert_eq!(verdict.ok().as_ref(), expected, "{}", reply.escape_ascii());
    }

    #[test]
    fn only_the_keys_own_value_is_right() {
        check(b"$10\r\n<k1><k1><k\r\n", Some(&Verdict::Right));
        check(b"-ERR gone\r\n", Some(&Verdict::Failed("ERR gone".to_owned())));
        check(b"$10\r\n<k2><k2><k\r\n", None);
        check(b"$4\r\n<k1>\r\n", None);
        check(b"$-1\r\n", None);
        check(b"+OK\r\n", None);
        check(b"*1\r\n$10\r\n<k1><k1><k\r\n", None);
    }
}
