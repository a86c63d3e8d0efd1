//! Whole numbers that carry their unit and their range in their type.

use super::value::{BadValue, Setting};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// What a [`Quantity`] counts.
pub trait Unit: Copy + fmt::Debug + PartialEq + Eq {
    /// The unit's name as a message says it, with a leading space; empty for plain counts.
    const SUFFIX: &'static str;
}

macro_rules! unit {
    ($(#[$meta:meta])* $marker:ident, $suffix:literal, $(#[$alias_meta:meta])* $alias:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $marker {}

        impl Unit for $marker {
            const SUFFIX: &'static str = $suffix;
        }

        $(#[$alias_meta])*
        pub type $alias<const MIN: i64, const MAX: i64> = Quantity<$marker, MIN, MAX>;
    };
}

unit!(
    /// Marks plain counts.
    Item,
    "",
    /// A number of things.
    Count
);
unit!(
    /// Marks times in milliseconds.
    Millisecond,
    " milliseconds",
    /// A time in milliseconds.
    Milliseconds
);
unit!(
    /// Marks times in microseconds.
    Microsecond,
    " microseconds",
    /// A time in microseconds.
    Microseconds
);
unit!(
    /// Marks sizes in bytes.
    Byte,
    " bytes",
    /// A size in bytes.
    Bytes
);

/// A whole number from `MIN` to `MAX`, both included, in the unit `U`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity<U: Unit, const MIN: i64, const MAX: i64> {
    value: i64,
    unit: PhantomData<U>,
}

impl<U: Unit, const MIN: i64, const MAX: i64> Quantity<U, MIN, MAX> {
    /// The quantity for a constant of the program.
    ///
    /// # Panics
    /// When the value is out of range; a bad value from outside goes through [`Quantity::new`].
    pub const fn of(value: i64) -> Self {
        assert!(MIN <= value && value <= MAX, "a constant is outside of its own range");
        Quantity { value, unit: PhantomData }
    }

    /// The quantity, or `None` when the value is out of range.
    pub fn new(value: i64) -> Option<Self> {
        (MIN..=MAX).contains(&value).then_some(Quantity { value, unit: PhantomData })
    }

    /// The number itself.
    pub fn get(self) -> i64 {
        self.value
    }

    /// The number, for a range without negative numbers (checked when compiled).
    pub fn unsigned(self) -> u64 {
        const { assert!(MIN >= 0, "this range has negative numbers") };
        self.value.unsigned_abs()
    }

    /// The number as a size or a length in memory, for a range without negative numbers (checked when compiled).
    pub fn size(self) -> usize {
        const { assert!(MIN >= 0 && MAX <= u32::MAX as i64, "this range does not fit every machine's memory") };
        usize::try_from(self.value).expect("the range fits 32 bits")
    }

    fn from_whole(value: i64) -> Result<Self, BadValue> {
        Self::new(value).ok_or_else(|| {
            if value < MIN {
                BadValue::new(format!("below {MIN}"))
            } else {
                BadValue::new(format!("above {MAX}"))
            }
        })
    }
}

impl<const MIN: i64, const MAX: i64> Milliseconds<MIN, MAX> {
    /// The time; for ranges without negative numbers.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.unsigned())
    }

    /// The time, where 0 means "no limit".
    pub fn limit(self) -> Option<Duration> {
        (self.value != 0).then(|| self.duration())
    }
}

impl<U: Unit, const MIN: i64, const MAX: i64> fmt::Display for Quantity<U, MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

impl<U: Unit, const MIN: i64, const MAX: i64> Setting for Quantity<U, MIN, MAX> {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        let value = text.trim().parse().map_err(|_| BadValue::new("not a whole number"))?;
        Self::from_whole(value)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, BadValue> {
        match value {
            toml::Value::Integer(value) => Self::from_whole(*value),
            other => Err(BadValue::wrong_kind(other)),
        }
    }

    fn accepts() -> String {
        format!("a whole number from {MIN} to {MAX}{}", U::SUFFIX)
    }

    fn shown(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(self.value))
    }
}
