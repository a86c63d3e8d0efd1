//! A reply as it came.

use resp::{Value, parse_value};

use crate::LinkError;

/// What stands in front of the text of a verbatim string: three letters for its kind, and a colon.
const VERBATIM_KIND_BYTES: usize = 4;

/// The bytes of one whole reply that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(Vec<u8>);

impl Reply {
    /// Of one whole reply.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The reply as a tree.
    ///
    /// # Errors
    /// [`LinkError::TooDeep`].
    pub fn value(&self) -> Result<Value<'_>, LinkError> {
        match parse_value(&self.0) {
            Ok(Some((value, _))) => Ok(value),
            // Its end was found before: only the tree has a limit that it can exceed.
            Ok(None) | Err(_) => Err(LinkError::TooDeep),
        }
    }

    /// The text of a simple, bulk or verbatim string.
    ///
    /// # Errors
    /// [`LinkError::Unexpected`] when it is anything else.
    pub fn text(&self) -> Result<String, LinkError> {
        let text = match self.value()? {
            Value::Simple(text) | Value::Bulk(text) => text,
            Value::Verbatim(text) => text.get(VERBATIM_KIND_BYTES..).unwrap_or_default(),
            _ => return Err(LinkError::Unexpected("a text")),
        };
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}
