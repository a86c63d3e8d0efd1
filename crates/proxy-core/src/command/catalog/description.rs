//! Reads what a live server says of one command in its COMMAND reply.
//!
//! The reply is the server's, so nothing in it is trusted: what cannot be understood is left out.

use super::flags::{Flags, KeyFlags};
use super::plan::LegacyRange;
use super::spec::{BeginSearch, FindKeys, KeySpec};
use resp::Value;

/// The longest name that is taken from a server.
const NAME_BYTES_MAX: usize = 128;

/// One command as a server describes it.
pub(super) struct Description<'v, 'a> {
    /// In lower case.
    pub(super) name: String,
    pub(super) arity: i16,
    pub(super) flags: Flags,
    pub(super) legacy: LegacyRange,
    pub(super) acl: Box<[Box<str>]>,
    pub(super) tips: Box<[Box<str>]>,
    /// `None` where the server is older than key specifications, or one of them cannot be understood.
    pub(super) specs: Option<Box<[KeySpec]>>,
    /// Entries of the same form.
    pub(super) subcommands: &'v [Value<'a>],
}

impl<'v, 'a> Description<'v, 'a> {
    /// Reads an entry of 6 fields (Redis before 6.0), 7 (before 7.0) or 10.
    pub(super) fn read(entry: &'v Value<'a>) -> Option<Description<'v, 'a>> {
        let [name, arity, flags, first, last, step, rest @ ..] = items(entry)? else { return None };
        let name = text(name)?.to_ascii_lowercase();
        let plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            return None;
        }
        let specs = rest.get(2).and_then(items);
        Some(Description {
            name,
            arity: i16::try_from(integer(arity)?).ok()?,
            flags: Flags::from_words(items(flags)?.iter().filter_map(text)),
            legacy: LegacyRange {
                first: i32::try_from(integer(first)?).ok()?,
                last: i32::try_from(integer(last)?).ok()?,
                step: i32::try_from(integer(step)?).ok()?,
            },
            acl: words(rest.first(), "@"),
            tips: words(rest.get(1), ""),
            specs: specs.and_then(|specs| specs.iter().map(key_spec).collect()),
            subcommands: rest.get(3).and_then(items).unwrap_or_default(),
        })
    }
}

/// The elements of an array or a set.
pub(super) fn items<'v, 'a>(value: &'v Value<'a>) -> Option<&'v [Value<'a>]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Bulk(text) | Value::Simple(text) => str::from_utf8(text).ok(),
        _ => None,
    }
}

fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

fn words(list: Option<&Value<'_>>, prefix: &str) -> Box<[Box<str>]> {
    let words = list.and_then(items).unwrap_or_default().iter().filter_map(text);
    words.map(|word| word.strip_prefix(prefix).unwrap_or(word).into()).collect()
}

/// A field of a map, which in RESP2 is an array of keys and values in turn.
fn field<'v, 'a>(map: &'v Value<'a>, name: &str) -> Option<&'v Value<'a>> {
    match map {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value),
        Value::Array(flat) => {
            flat.chunks_exact(2).find(|pair| text(&pair[0]) == Some(name)).map(|pair| &pair[1])
        }
        _ => None,
    }
}

fn key_spec(value: &Value<'_>) -> Option<KeySpec> {
    let flags = KeyFlags::from_words(items(field(value, "flags")?)?.iter().filter_map(text));
    let begin = field(value, "begin_search")?;
    let begin = match (text(field(begin, "type")?)?, field(begin, "spec")?) {
        ("index", spec) => BeginSearch::Index(count(spec, "index")?),
        ("keyword", spec) => BeginSearch::Keyword {
            word: text(field(spec, "keyword")?)?.into(),
            start: i32::try_from(integer(field(spec, "startfrom")?)?).ok()?,
        },
        _ => BeginSearch::Unknown,
    };
    let find = field(value, "find_keys")?;
    let find = match (text(field(find, "type")?)?, field(find, "spec")?) {
        ("range", spec) => FindKeys::Range {
            last: i32::try_from(integer(field(spec, "lastkey")?)?).ok()?,
            step: count(spec, "keystep")?,
            limit: count(spec, "limit")?,
        },
        ("keynum", spec) => FindKeys::Count {
            number: count(spec, "keynumidx")?,
            first: count(spec, "firstkey")?,
            step: count(spec, "keystep")?,
        },
        _ => FindKeys::Unknown,
    };
    let notes = field(value, "notes").and_then(text).unwrap_or_default().into();
    Some(KeySpec { flags, begin, find, notes })
}

fn count(spec: &Value<'_>, name: &str) -> Option<u32> {
    u32::try_from(integer(field(spec, name)?)?).ok()
}
