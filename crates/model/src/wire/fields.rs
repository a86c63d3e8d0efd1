//! Names and values in turn, as the answers to UMCTL HEALTH and UMCTL VIEW have them, for those who read them.

use std::str::FromStr;

use resp::Value;

use crate::epoch::Epoch;

/// An answer to UMCTL HEALTH or UMCTL VIEW that cannot be read. The proxy's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer lacks {0}")]
pub struct HealthFault(pub &'static str);

/// Names and values in turn, as they are read.
#[derive(Debug)]
pub struct Fields<'a, 'b>(&'a [Value<'b>]);

impl<'a, 'b> Fields<'a, 'b> {
    /// Reads an array of names and values.
    ///
    /// # Errors
    /// [`HealthFault`] where it is not there or something else.
    pub fn of(value: &'a Value<'b>) -> Result<Self, HealthFault> {
        match value {
            Value::Array(fields) if fields.len() % 2 == 0 => Ok(Self(fields)),
            _ => Err(HealthFault("names and values")),
        }
    }

    pub(super) fn find(&self, name: &'static str) -> Result<&'a Value<'b>, HealthFault> {
        let is_named =
            |pair: &&[Value<'_>]| matches!(&pair[0], Value::Bulk(found) if *found == name.as_bytes());
        let pair = self.0.chunks_exact(2).find(is_named).ok_or(HealthFault(name))?;
        Ok(&pair[1])
    }

    pub(super) fn bytes(&self, name: &'static str) -> Result<&'a [u8], HealthFault> {
        match self.find(name)? {
            Value::Bulk(bytes) | Value::Simple(bytes) => Ok(bytes),
            _ => Err(HealthFault(name)),
        }
    }

    /// The value of that name, which is UTF-8.
    ///
    /// # Errors
    /// [`HealthFault`] where it is not there or something else.
    pub fn text(&self, name: &'static str) -> Result<&'a str, HealthFault> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| HealthFault(name))
    }

    /// The value of that name, read as another type.
    ///
    /// # Errors
    /// [`HealthFault`] where it is not there or something else.
    pub fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, HealthFault> {
        self.text(name)?.parse().map_err(|_| HealthFault(name))
    }

    /// The value of that name, which is a number from 0 on.
    ///
    /// # Errors
    /// [`HealthFault`] where it is not there or something else.
    pub fn number(&self, name: &'static str) -> Result<u64, HealthFault> {
        match self.find(name)? {
            Value::Integer(number) => u64::try_from(*number).map_err(|_| HealthFault(name)),
            _ => Err(HealthFault(name)),
        }
    }

    pub(super) fn epoch(&self, name: &'static str) -> Result<Epoch, HealthFault> {
        self.number(name).map(Epoch)
    }

    /// The value of that name, which is an array.
    ///
    /// # Errors
    /// [`HealthFault`] where it is not there or something else.
    pub fn list(&self, name: &'static str) -> Result<&'a [Value<'b>], HealthFault> {
        match self.find(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(HealthFault(name)),
        }
    }
}
