//! PING, ECHO, QUIT, RESET, SELECT, READONLY, READWRITE, ASKING: the connection itself.

use resp::encode;

use super::{After, Context};
use crate::command::Args;
use crate::profile::Profile;
use crate::{decimal, errors};

/// `PING [message]`
pub(super) fn ping(args: Args<'_>, out: &mut Vec<u8>) -> After {
    match args.len() {
        1 => out.extend_from_slice(b"+PONG\r\n"),
        2 => encode::bulk(out, args.get(1)),
        _ => errors::wrong_arity(out, "ping"),
    }
    After::Done
}

/// `ECHO message`
pub(super) fn echo(args: Args<'_>, out: &mut Vec<u8>) -> After {
    encode::bulk(out, args.get(1));
    After::Done
}

/// `QUIT`
pub(super) fn quit(out: &mut Vec<u8>) -> After {
    encode::simple(out, "OK");
    After::Close
}

/// `RESET`
pub(super) fn reset(profile: &mut Profile, context: &Context<'_>, out: &mut Vec<u8>) -> After {
    profile.reset(context.settings.password.is_none());
    encode::simple(out, "RESET");
    After::SessionReset
}

/// `SELECT db`
pub(super) fn select(
    args: Args<'_>,
    profile: &mut Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    let db = match database(args.get(1), context.settings.databases) {
        Ok(db) => db,
        Err(error) => {
            errors::write(out, error);
            return After::Done;
        }
    };
    encode::simple(out, "OK");
    if profile.db == db {
        return After::Done;
    }
    profile.db = db;
    After::SelectChanged
}

/// Redis reads an `int` and then looks whether there is such a database; each has its error.
fn database(given: &[u8], databases: u32) -> Result<u32, &'static str> {
    let number = decimal::parse(given).ok_or(errors::NOT_INTEGER)?;
    let number = i32::try_from(number).map_err(|_| errors::NOT_INT32)?;
    u32::try_from(number).ok().filter(|db| *db < databases).ok_or(errors::DB_OUT_OF_RANGE)
}

/// `READONLY` and `READWRITE`
pub(super) fn readonly(on: bool, profile: &mut Profile, out: &mut Vec<u8>) -> After {
    profile.readonly = on;
    encode::simple(out, "OK");
    After::Done
}

/// `ASKING`: changes nothing, because no slot of a proxy is ever half moved.
pub(super) fn asking(out: &mut Vec<u8>) -> After {
    encode::simple(out, "OK");
    After::Done
}
