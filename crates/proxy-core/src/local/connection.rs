//! PING, ECHO, QUIT, RESET, SELECT, READONLY, READWRITE, ASKING: the connection itself.

use resp::encode;

use super::{After, Context};
use crate::command::Args;
use crate::profile::Profile;
use crate::{decimal, errors};

/// `PING [message]`
pub(super) fn ping(args: Args<'_>, out: &mut Vec<u8>) -> After {
    if args.len() > 1 {
        encode::bulk(out, args.get(1));
    } else {
        out.extend_from_slice(b"+PONG\r\n");
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
    // Redis reads an `int` here, so a larger number is no number.
    let Some(db) = decimal::parse(args.get(1)).and_then(|db| i32::try_from(db).ok()) else {
        errors::write(out, errors::NOT_INTEGER);
        return After::Done;
    };
    let Some(db) = u32::try_from(db).ok().filter(|db| *db < context.settings.databases) else {
        errors::write(out, errors::DB_OUT_OF_RANGE);
        return After::Done;
    };
    encode::simple(out, "OK");
    if profile.db == db {
        return After::Done;
    }
    profile.db = db;
    After::SelectChanged
}

/// `READONLY` and `READWRITE`
pub(super) fn readonly(on: bool, profile: &mut Profile, out: &mut Vec<u8>) -> After {
    profile.readonly = on;
    encode::simple(out, "OK");
    After::Done
}

/// `ASKING`
pub(super) fn asking(profile: &mut Profile, out: &mut Vec<u8>) -> After {
    profile.asking = true;
    encode::simple(out, "OK");
    After::Done
}
