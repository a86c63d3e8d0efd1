//! Applies a key specification to a request, as Redis's `getKeysUsingKeySpecs` does.

use super::error::KeyError;
use crate::command::{Args, BeginSearch, FindKeys, KeySpec};

/// Arguments `first`, `first + step`, … up to `last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KeyGroup {
    first: usize,
    last: usize,
    step: usize,
}

impl KeyGroup {
    /// A group that lies within the arguments of a request; anything else is a syntax error.
    pub(super) fn within(args: Args<'_>, first: usize, last: i64, step: usize) -> Result<KeyGroup, KeyError> {
        let last = usize::try_from(last).map_err(|_| KeyError::Syntax)?;
        if first > last || last >= args.len() || step == 0 {
            return Err(KeyError::Syntax);
        }
        Ok(KeyGroup { first, last, step })
    }

    /// The positions of the group.
    pub(super) fn positions(self) -> impl Iterator<Item = u32> {
        (self.first..=self.last).step_by(self.step).map(|position| position as u32)
    }

    /// Appends the positions of the group.
    pub(super) fn append(self, out: &mut Vec<u32>) {
        if self.step == 1 {
            // MGET and DEL of many keys: their length is known, so that room is taken once.
            out.extend(self.first as u32..self.last as u32 + 1);
        } else {
            out.extend(self.positions());
        }
    }
}

/// The keys of one specification; `None` where an optional group is absent. A group of the form "number of
/// keys" with the number 0 is absent too: whether that is an error is the command's affair.
pub(super) fn keys_of(spec: &KeySpec, args: Args<'_>) -> Result<Option<KeyGroup>, KeyError> {
    let begin = match &spec.begin {
        BeginSearch::Index(index) => *index as usize,
        BeginSearch::Keyword { word, start } => match after_keyword(args, word, *start) {
            Some(begin) => begin,
            None => return Ok(None),
        },
        BeginSearch::Unknown => return Err(KeyError::Syntax),
    };
    match spec.find {
        FindKeys::Range { last, step, limit } => {
            let last = last_of_range(args.len(), begin, last, limit);
            KeyGroup::within(args, begin, last, step as usize).map(Some)
        }
        FindKeys::Count { number, first, step } => {
            let number = begin + number as usize;
            if number >= args.len() {
                return Err(KeyError::Syntax);
            }
            let count = key_count(args.get(number))?;
            let first = begin + first as usize;
            if count == 0 {
                return Ok(None);
            }
            let last =
                (count - 1).checked_mul(i64::from(step)).and_then(|reach| reach.checked_add(first as i64));
            let last = last.filter(|last| *last < args.len() as i64).ok_or(KeyError::TooMany)?;
            KeyGroup::within(args, first, last, step as usize).map(Some)
        }
        FindKeys::Unknown => Err(KeyError::Syntax),
    }
}

/// The last argument of a range, which may turn out to lie before the first or behind the end.
fn last_of_range(count: usize, begin: usize, last: i32, limit: u32) -> i64 {
    let (count, begin, last) = (count as i64, begin as i64, i64::from(last));
    match limit {
        _ if last >= 0 => begin + last,
        0 | 1 => count + last,
        _ => begin + (count - begin) / i64::from(limit) + last,
    }
}

/// The argument after the keyword; a negative `start` searches backwards from that place.
fn after_keyword(args: Args<'_>, word: &str, start: i32) -> Option<usize> {
    let distance = start.unsigned_abs() as usize;
    let found = if start >= 0 {
        (distance..args.len()).find(|index| args.is(*index, word))
    } else {
        let from = args.len().checked_sub(distance)?;
        (1..=from).rev().find(|index| args.is(*index, word))
    };
    found.map(|index| index + 1)
}

/// A number of keys as Redis reads it: decimal, no sign but `-`, no blanks, no leading zeros.
fn key_count(text: &[u8]) -> Result<i64, KeyError> {
    let number = integer(text).ok_or(KeyError::NotANumber)?;
    if number < 0 { Err(KeyError::Negative) } else { Ok(number) }
}

/// An integer exactly as Redis's `string2ll` accepts it.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        b"0" => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
