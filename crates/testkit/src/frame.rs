//! One reply as it came from the wire: its exact bytes, and questions that tests ask of it.

use std::fmt;

use anyhow::{Context, Result, bail};
use resp::Value;

/// How much of a reply is shown in a message.
const SHOWN_BYTES: usize = 300;

/// The bytes of one whole reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// Wraps the bytes of one whole reply.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The reply as a tree.
    ///
    /// # Errors
    /// When the bytes are not exactly one reply.
    pub fn value(&self) -> Result<Value<'_>> {
        match resp::parse_value(&self.0) {
            Ok(Some((value, length))) if length == self.0.len() => Ok(value),
            other => bail!("{self:?} is not one reply: {other:?}"),
        }
    }

    /// The text of an error reply, without its `-`; `None` for any other reply.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let (first, rest) = self.0.split_first()?;
        (*first == b'-').then(|| String::from_utf8_lossy(rest).trim_end().to_owned())
    }

    /// Whether it is RESP2's or RESP3's null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.0.as_slice(), b"$-1\r\n" | b"*-1\r\n" | b"_\r\n")
    }

    /// The text of a simple, bulk or verbatim string.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn text(&self) -> Result<String> {
        match self.value()? {
            Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(text) => {
                Ok(String::from_utf8_lossy(text).into_owned())
            }
            _ => bail!("expected text, got {self:?}"),
        }
    }

    /// The value of an integer reply.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn integer(&self) -> Result<i64> {
        match self.value()? {
            Value::Integer(number) => Ok(number),
            _ => bail!("expected an integer, got {self:?}"),
        }
    }

    /// Insists on `+OK`.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn expect_ok(&self) -> Result<()> {
        if self.0 == b"+OK\r\n" { Ok(()) } else { bail!("expected OK, got {self:?}") }
    }

    /// Insists on an error reply whose text begins with `start`, and hands back the text.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn expect_error(&self, start: &str) -> Result<String> {
        let text = self.error().with_context(|| format!("expected the error {start}, got {self:?}"))?;
        if text.starts_with(start) { Ok(text) } else { bail!("expected the error {start}, got {text}") }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&show(&self.0))
    }
}

/// Bytes as a person can read them in a message: escaped, and cut with the true length told.
#[must_use]
pub fn show(bytes: &[u8]) -> String {
    let cut = bytes.len().min(SHOWN_BYTES);
    let text = bytes[..cut].escape_ascii().to_string();
    if cut == bytes.len() { format!("\"{text}\"") } else { format!("\"{text}\"… ({} bytes)", bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_frame_says_of_itself() {
        let frame = |bytes: &[u8]| Frame::new(bytes.to_vec());
        assert_eq!(frame(b":-7\r\n").integer().unwrap(), -7);
        assert_eq!(frame(b"$2\r\nhi\r\n").text().unwrap(), "hi");
        assert!(frame(b"_\r\n").is_null() && !frame(b"$0\r\n\r\n").is_null());
        assert!(frame(b"+OK\r\n").expect_ok().is_ok() && frame(b"+NO\r\n").expect_ok().is_err());
        assert_eq!(frame(b"-ERR x y\r\n").error().as_deref(), Some("ERR x y"));
        assert!(frame(b"-ERR x\r\n").expect_error("MOVED").is_err());
        assert!(frame(b"+OK\r\n+OK\r\n").value().is_err(), "two replies are not one");
        assert!(format!("{:?}", frame(&[b'x'; 1000])).ends_with("(1000 bytes)"));
    }
}
