//! Key specifications: how a server describes where a command's keys are.
//!
//! Source: the `COMMAND` reply since Redis 7.0 ("Key specifications" in Redis's documentation).

use super::escape::unescape;
use super::flags::KeyFlags;

/// One group of keys among a command's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// What is done with these keys.
    pub flags: KeyFlags,
    /// Where the group begins.
    pub begin: BeginSearch,
    /// Which arguments from there on are keys.
    pub find: FindKeys,
    /// The server's remark, often empty.
    pub notes: Box<str>,
}

/// Where a group of keys begins. Positions count the command's name as 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BeginSearch {
    /// At this argument.
    Index(u32),
    /// After this word, in any case, searched from argument `start`; a negative one counts from the end
    /// and searches backwards.
    Keyword {
        /// The word.
        word: Box<str>,
        /// Where the search starts.
        start: i32,
    },
    /// The server cannot say.
    Unknown,
}

/// Which arguments are keys, once the beginning is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FindKeys {
    /// From the beginning to `last`.
    Range {
        /// The last key, relative to the beginning; negative counts from the end of the arguments.
        last: i32,
        /// Every how many arguments there is a key.
        step: u32,
        /// With a negative `last`: only the first 1/`limit` of the arguments hold keys, where it is 2 or more.
        limit: u32,
    },
    /// An argument says how many keys there are.
    Count {
        /// Where the number is, relative to the beginning.
        number: u32,
        /// The first key, relative to the beginning.
        first: u32,
        /// Every how many arguments there is a key.
        step: u32,
    },
    /// The server cannot say.
    Unknown,
}

impl KeySpec {
    /// Reads one specification of the snapshot's form, `FLAGS/BEGIN/FIND[/NOTES]`; `None` where it is not one.
    pub(super) fn from_snapshot(text: &str) -> Option<KeySpec> {
        let mut parts = text.splitn(4, '/');
        let flags = KeyFlags::from_words(parts.next()?.split(','));
        let begin = begin_from_snapshot(parts.next()?)?;
        let find = find_from_snapshot(parts.next()?)?;
        let notes = unescape(parts.next().unwrap_or_default());
        Some(KeySpec { flags, begin, find, notes: notes.into() })
    }
}

fn begin_from_snapshot(text: &str) -> Option<BeginSearch> {
    if text == "u" {
        return Some(BeginSearch::Unknown);
    }
    if let Some(index) = text.strip_prefix('i') {
        return Some(BeginSearch::Index(index.parse().ok()?));
    }
    let (word, start) = text.strip_prefix('k')?.split_once('@')?;
    Some(BeginSearch::Keyword { word: word.into(), start: start.parse().ok()? })
}

fn find_from_snapshot(text: &str) -> Option<FindKeys> {
    if text == "u" {
        return Some(FindKeys::Unknown);
    }
    let (kind, numbers) = text.split_at_checked(1)?;
    let mut numbers = numbers.split(',');
    let mut number = || numbers.next()?.parse::<i32>().ok();
    let (one, two, three) = (number()?, number()?, number()?);
    let count = |value: i32| u32::try_from(value).ok();
    match kind {
        "r" => Some(FindKeys::Range { last: one, step: count(two)?, limit: count(three)? }),
        "n" => Some(FindKeys::Count { number: count(one)?, first: count(two)?, step: count(three)? }),
        _ => None,
    }
}
