//! What can be the value of a setting, and how it is read from text or TOML.

use std::net::SocketAddr;

/// How far apart, at most, a wrong word and a right one may be for "did you mean" to name it: one edit for each
/// three characters, and never more than this many.
const NEAREST_EDITS_MAX: usize = 3;

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Whether the value must never be printed, not even in the message that refuses it.
    const SECRET: bool = false;

    /// Reads the value from an environment variable or a TOML string.
    fn from_text(text: &str) -> Result<Self, BadValue>;

    /// Reads the value from TOML. Most types accept a string only.
    fn from_toml(value: &toml::Value) -> Result<Self, BadValue> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            other => Err(BadValue::wrong_kind(other)),
        }
    }

    /// What is accepted, in words: "true or false", "a whole number from 1 to 1024".
    fn accepts() -> String;

    /// The value as TOML for printing; `None` when it is not set. A secret shows a mask.
    fn shown(&self) -> Option<toml::Value>;
}

/// Why a value was refused, in words that follow the value: "below 1", "not a whole number".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    reason: String,
}

impl BadValue {
    /// A refusal with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        BadValue { reason: reason.into() }
    }

    /// A refusal of a word that is none of the accepted ones.
    pub fn unknown_word(near: Option<&str>) -> Self {
        match near {
            Some(near) => BadValue::new(format!("not a known word, did you mean `{near}`?")),
            None => BadValue::new("not a known word"),
        }
    }

    /// A refusal of a TOML value of the wrong type.
    pub fn wrong_kind(value: &toml::Value) -> Self {
        let article =
            if matches!(value, toml::Value::Integer(_) | toml::Value::Array(_)) { "an" } else { "a" };
        BadValue::new(format!("{article} {} where something else is expected", value.type_str()))
    }

    /// The reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The candidate that `word` is most likely a misspelling of, if any is near enough.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let edits_max = (word.chars().count() / 3).clamp(1, NEAREST_EDITS_MAX);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

impl Setting for bool {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        text.trim().parse().map_err(|_| BadValue::new("neither true nor false"))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, BadValue> {
        value.as_bool().ok_or_else(|| BadValue::wrong_kind(value))
    }

    fn accepts() -> String {
        "true or false".to_owned()
    }

    fn shown(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }
}

impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        text.trim().parse().map_err(|_| BadValue::new("not an IP address and a port"))
    }

    fn accepts() -> String {
        "an IP address and a port, as 127.0.0.1:5299 or [::1]:5299".to_owned()
    }

    fn shown(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

/// A setting that may be absent. The empty text takes it away again, so that the environment can undo the file.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn from_text(text: &str) -> Result<Self, BadValue> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn from_toml(value: &toml::Value) -> Result<Self, BadValue> {
        if value.as_str() == Some("") { Ok(None) } else { T::from_toml(value).map(Some) }
    }

    fn accepts() -> String {
        format!("{}; empty for none", T::accepts())
    }

    fn shown(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::shown)
    }
}

/// A list: a TOML array, or one text with commas between the items.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn from_text(text: &str) -> Result<Self, BadValue> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(|item| T::from_text(item.trim())).collect()
    }

    fn from_toml(value: &toml::Value) -> Result<Self, BadValue> {
        match value {
            toml::Value::Array(items) => items.iter().map(T::from_toml).collect(),
            toml::Value::String(text) => Self::from_text(text),
            other => Err(BadValue::wrong_kind(other)),
        }
    }

    fn accepts() -> String {
        format!("a list, each {}", T::accepts())
    }

    fn shown(&self) -> Option<toml::Value> {
        if !self.is_empty() {
            Some(toml::Value::Array(self.iter().filter_map(T::shown).collect()))
        } else {
            None
        }
    }
}
