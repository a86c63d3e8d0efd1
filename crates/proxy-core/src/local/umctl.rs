//! UMCTL AUTH: a session says that it is an operator's. Everything else of UMCTL the control thread understands itself.

use resp::encode;

use super::{After, Context};
use crate::command::Args;
use crate::errors;
use crate::profile::Profile;

/// Whether this is `UMCTL AUTH …`, which a client may send before it has authenticated.
pub(super) fn is_login(args: Args<'_>) -> bool {
    args.len() > 1 && args.get(0).eq_ignore_ascii_case(b"UMCTL") && args.get(1).eq_ignore_ascii_case(b"AUTH")
}

/// `UMCTL AUTH control-password`, or something else of UMCTL. An operator is at least a client.
pub(super) fn answer(
    args: Args<'_>,
    profile: &mut Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    if !is_login(args) {
        return After::Umctl;
    }
    match &context.settings.control_password {
        _ if args.len() != 3 => errors::unknown_subcommand(out, "UMCTL", args.get(1)),
        // Not an error: whoever has a password for all proxies may meet one that wants none.
        None => encode::simple(out, errors::CONTROL_PASSWORD_NOT_SET),
        Some(password) if password.is(args.get(2)) => {
            profile.operator = true;
            profile.authenticated = true;
            encode::simple(out, "OK");
        }
        Some(_) => errors::write(out, errors::WRONG_CONTROL_PASSWORD),
    }
    After::Done
}
