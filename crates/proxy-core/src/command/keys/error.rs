//! A request whose keys cannot be told: the error that Redis gives to it.

use crate::command::Command;
use crate::errors;
use std::borrow::Cow;

/// Why the keys of a request cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyError {
    /// The number of keys is not a number.
    NotANumber,
    /// The number of keys is negative.
    Negative,
    /// The number of keys is 0 where one is needed.
    Zero,
    /// There are fewer arguments than the keys announced.
    TooMany,
    /// There is no key where one is needed, or the arguments make no sense.
    Syntax,
    /// XREAD or XREADGROUP with a stream too many or too few.
    Unbalanced,
    /// SORT with a BY pattern whose keys may be in other slots.
    SortBy,
    /// SORT with a GET pattern whose keys may be in other slots.
    SortGet,
}

impl KeyError {
    /// Whether any node, given such a request, answers with an error of its own and does nothing. A node outside of
    /// cluster mode would execute SORT with patterns: that one the proxy has to refuse.
    #[must_use]
    pub fn is_for_the_node(self) -> bool {
        !matches!(self, KeyError::SortBy | KeyError::SortGet)
    }

    /// The error's text, without the leading `-`: what `command` itself answers on Redis 8.2 and Valkey 9.1.
    pub fn text(self, command: &Command) -> Cow<'static, str> {
        use KeyError::{Negative, NotANumber, SortBy, SortGet, Syntax, TooMany, Unbalanced, Zero};
        let name = &*command.name;
        let fixed = match (self, name) {
            (Syntax, _) => errors::SYNTAX,
            (SortBy, _) => errors::SORT_BY,
            (SortGet, _) => errors::SORT_GET,
            (Unbalanced, "xreadgroup") => errors::XREADGROUP_UNBALANCED,
            (Unbalanced, _) => errors::XREAD_UNBALANCED,
            (TooMany, "sintercard") => errors::KEYS_MORE_THAN_ARGUMENTS,
            (TooMany, "lmpop" | "blmpop" | "zmpop" | "bzmpop" | "msetex") => errors::SYNTAX,
            (_, "sintercard" | "lmpop" | "blmpop" | "zmpop" | "bzmpop") => errors::KEYS_NOT_POSITIVE,
            (_, "msetex") => errors::KEYS_INVALID,
            (NotANumber, "fcall" | "fcall_ro") => errors::KEYS_BAD,
            (NotANumber, _) => errors::NOT_INTEGER,
            (TooMany, _) if is_script(name) => errors::KEYS_MORE_THAN_ARGUMENTS,
            (Negative | Zero, _) if is_script(name) => errors::KEYS_NEGATIVE,
            (TooMany, _) => errors::SYNTAX,
            (Negative | Zero, _) => return errors::no_key_given(name).into(),
        };
        Cow::Borrowed(fixed)
    }
}

fn is_script(name: &str) -> bool {
    matches!(name, "eval" | "eval_ro" | "evalsha" | "evalsha_ro" | "fcall" | "fcall_ro")
}
