//! The flags that SETCLUSTER and SETREPL share.

use super::arguments::Arguments;
use super::error::MetaError;

const NONE: &str = "NOFLAGS";
const FORCE: &str = "FORCE";
const COMPRESS: &str = "COMPRESS";
const LEASED: &str = "LEASED";

/// `NOFLAGS`, or `FORCE`, `COMPRESS` and `LEASED` joined by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetaFlags {
    /// Accept the command even if its epoch is not higher than the one that is held.
    pub force: bool,
    /// The rest is one argument: base64 of gzip of JSON.
    pub compress: bool,
    /// The sender grants leases: primaries are used only while one lasts, from this command on. In SETREPL it keeps FORCE
    /// from passing over a higher epoch. Ours.
    pub leased: bool,
}

impl MetaFlags {
    pub(super) fn parse(args: &mut Arguments<'_>) -> Result<Self, MetaError> {
        const EXPECTED: &str = "NOFLAGS, or FORCE, COMPRESS and LEASED joined by commas";
        Self::parse_with(args, EXPECTED, |_| false)
    }

    /// The same where there may be other words, which `takes` takes.
    pub(super) fn parse_with(
        args: &mut Arguments<'_>,
        expected: &'static str,
        mut takes: impl FnMut(&str) -> bool,
    ) -> Result<Self, MetaError> {
        let text = args.text(expected)?;
        let mut flags = Self::default();
        if text.eq_ignore_ascii_case(NONE) {
            return Ok(flags);
        }
        for word in text.split(',') {
            if word.eq_ignore_ascii_case(FORCE) {
                flags.force = true;
            } else if word.eq_ignore_ascii_case(COMPRESS) {
                flags.compress = true;
            } else if word.eq_ignore_ascii_case(LEASED) {
                flags.leased = true;
            } else if !takes(word) {
                return Err(args.wrong(expected));
            }
        }
        Ok(flags)
    }

    pub(super) fn to_text(self) -> String {
        let words = [(self.force, FORCE), (self.compress, COMPRESS), (self.leased, LEASED)];
        let words: Vec<&str> =
            words.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect();
        if words.is_empty() { NONE.to_owned() } else { words.join(",") }
    }
}
