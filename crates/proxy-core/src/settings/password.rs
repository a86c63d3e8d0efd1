//! Passwords, which no log, error or debug form shows.

use std::fmt;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

impl Password {
    /// Wraps `text`; `None` if it is empty, which is how a password is removed.
    pub fn new(text: &[u8]) -> Option<Password> {
        (!text.is_empty()).then(|| Password(text.into()))
    }

    /// The text itself.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether `given` is the secret, in a time that depends on the lengths only.
    pub fn is(&self, given: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(&*self.0, given).into()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
