//! Walks over a command's arguments and knows where it is, so that errors can say so.

use std::str::FromStr;

use super::error::{MetaError, MetaFault, MetaPlace};

/// How much of a wrong argument an error repeats.
const QUOTED_CHARS_MAX: usize = 48;

/// A position in the arguments of one command.
pub(super) struct Arguments<'a> {
    args: &'a [&'a [u8]],
    next: usize,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(args: &'a [&'a [u8]]) -> Self {
        Self { args, next: 0 }
    }

    /// Whether all have been taken.
    pub(super) fn is_done(&self) -> bool {
        self.next >= self.args.len()
    }

    /// The place of the argument that was taken last.
    pub(super) fn last_place(&self) -> MetaPlace {
        MetaPlace::Argument(self.next)
    }

    /// Takes the next argument's bytes.
    pub(super) fn take(&mut self, expected: &'static str) -> Result<&'a [u8], MetaError> {
        let taken = self.args.get(self.next).copied();
        self.next += 1;
        taken.ok_or_else(|| MetaFault::Missing { expected }.at(self.last_place()))
    }

    /// Takes the next argument as text.
    pub(super) fn text(&mut self, expected: &'static str) -> Result<&'a str, MetaError> {
        let bytes = self.take(expected)?;
        std::str::from_utf8(bytes).map_err(|_| self.wrong(expected))
    }

    /// Takes the next argument as a value of some type.
    pub(super) fn value<T: FromStr>(&mut self, expected: &'static str) -> Result<T, MetaError> {
        let text = self.text(expected)?;
        text.parse().map_err(|_| self.wrong(expected))
    }

    /// Takes the next argument as a count of at most `max`.
    pub(super) fn count(&mut self, expected: &'static str, max: usize) -> Result<usize, MetaError> {
        let text = self.text(expected)?;
        let number = crate::decimal::parse(text).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number <= max).ok_or_else(|| self.wrong(expected))
    }

    /// Takes the next argument if it is that word, in upper or lower case.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let matches = self.args.get(self.next).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
        self.next += usize::from(matches);
        matches
    }

    /// Whether the next argument is that word, in upper or lower case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.args.get(self.next).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// That nothing is left.
    pub(super) fn finish(&mut self) -> Result<(), MetaError> {
        if self.is_done() {
            return Ok(());
        }
        self.next += 1;
        Err(self.wrong("nothing more"))
    }

    /// An error about the argument that was taken last.
    pub(super) fn wrong(&self, expected: &'static str) -> MetaError {
        let bytes = self.args.get(self.next - 1).copied().unwrap_or_default();
        let got = bytes.escape_ascii().to_string();
        let got = match got.char_indices().nth(QUOTED_CHARS_MAX) {
            Some((cut, _)) => format!("{}…", &got[..cut]),
            None => got,
        };
        MetaFault::Wrong { expected, got }.at(self.last_place())
    }
}
