//! The flags that SETCLUSTER and SETREPL share.

use super::arguments::Arguments;
use super::error::MetaError;

const NONE: &str = "NOFLAGS";
const FORCE: &str = "FORCE";
const COMPRESS: &str = "COMPRESS";

/// `NOFLAGS`, or `FORCE` and `COMPRESS` joined by commas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetaFlags {
    /// Accept the command even if its epoch is not higher than the one that is held.
    pub force: bool,
    /// The rest is one argument: base64 of gzip of JSON.
    pub compress: bool,
}

impl MetaFlags {
    pub(super) fn parse(args: &mut Arguments<'_>) -> Result<Self, MetaError> {
        const EXPECTED: &str = "NOFLAGS, or FORCE and COMPRESS joined by commas";
        let text = args.text(EXPECTED)?;
        let mut flags = Self::default();
        if text.eq_ignore_ascii_case(NONE) {
            return Ok(flags);
        }
        for word in text.split(',') {
            if word.eq_ignore_ascii_case(FORCE) {
                flags.force = true;
            } else if word.eq_ignore_ascii_case(COMPRESS) {
                flags.compress = true;
            } else {
                return Err(args.wrong(EXPECTED));
            }
        }
        Ok(flags)
    }

    pub(super) fn to_text(self) -> String {
        match (self.force, self.compress) {
            (false, false) => NONE.to_owned(),
            (true, false) => FORCE.to_owned(),
            (false, true) => COMPRESS.to_owned(),
            (true, true) => format!("{FORCE},{COMPRESS}"),
        }
    }
}
