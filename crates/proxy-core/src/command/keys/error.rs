//! A request whose keys cannot be told: the error that Redis gives to it.

use crate::command::Command;
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

const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";
const MORE_THAN_ARGUMENTS: &str = "ERR Number of keys can't be greater than number of args";
const NOT_POSITIVE: &str = "ERR numkeys should be greater than 0";

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
            (Syntax, _) => SYNTAX,
            (SortBy, _) => {
                "ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
            }
            (SortGet, _) => {
                "ERR GET option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
            }
            (Unbalanced, "xreadgroup") => {
                "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
            }
            (Unbalanced, _) => {
                "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
            }
            (TooMany, "sintercard") => MORE_THAN_ARGUMENTS,
            (TooMany, "lmpop" | "blmpop" | "zmpop" | "bzmpop" | "msetex") => SYNTAX,
            (_, "sintercard" | "lmpop" | "blmpop" | "zmpop" | "bzmpop") => NOT_POSITIVE,
            (_, "msetex") => "ERR invalid numkeys value or out of range",
            (NotANumber, "fcall" | "fcall_ro") => "ERR Bad number of keys provided",
            (NotANumber, _) => NOT_AN_INTEGER,
            (TooMany, _) if is_script(name) => MORE_THAN_ARGUMENTS,
            (Negative | Zero, _) if is_script(name) => "ERR Number of keys can't be negative",
            (TooMany, _) => SYNTAX,
            (Negative | Zero, _) => {
                return format!("ERR at least 1 input key is needed for '{name}' command").into();
            }
        };
        Cow::Borrowed(fixed)
    }
}

fn is_script(name: &str) -> bool {
    matches!(name, "eval" | "eval_ro" | "evalsha" | "evalsha_ro" | "fcall" | "fcall_ro")
}
