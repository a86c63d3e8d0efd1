//! UMCTL as far as a worker looks at it: AUTH, by which a session says that it is an operator's, and who may ask what.
//! Everything else of UMCTL the control thread understands itself, and it is asked for nothing that it would refuse: to
//! understand metadata takes long.

use resp::encode;

use super::{After, Context};
use crate::authority;
use crate::command::Args;
use crate::errors;
use crate::profile::Profile;

/// The longest question, bytes; what gives an order may be as long as other requests.
const QUESTION_BYTES_MAX: usize = 1024;

/// What of UMCTL only operators may ask for, by its name: whatever changes something. `words` are those behind UMCTL.
/// Their first two decide, so that nobody else has anything understood.
pub fn operators_part<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<&'static str> {
    let name = words.next()?;
    let argument = words.next();
    let is = |word: &[u8], expected: &str| word.eq_ignore_ascii_case(expected.as_bytes());
    match argument {
        _ if is(name, "SETCLUSTER") => Some("UMCTL SETCLUSTER"),
        _ if is(name, "SETREPL") => Some("UMCTL SETREPL"),
        _ if is(name, "CLEAN") => Some("UMCTL CLEAN"),
        _ if is(name, "SHUTDOWN") => Some("UMCTL SHUTDOWN"),
        Some(_) if is(name, "HEALTH") => Some("UMCTL HEALTH LEASE"),
        Some(argument) if is(name, "SLOWLOG") && is(argument, "RESET") => Some("UMCTL SLOWLOG RESET"),
        _ => None,
    }
}

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
        return ask(args, profile, context, out);
    }
    match &context.settings.control_password {
        _ if args.len() != 3 => errors::unknown_subcommand(out, "UMCTL", args.get(1)),
        // Not an error: a caller with one password for all proxies may meet a proxy without one.
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

/// Has the control thread carry it out, unless it would refuse.
fn ask(args: Args<'_>, profile: &Profile, context: &Context<'_>, out: &mut Vec<u8>) -> After {
    let password = context.settings.control_password.as_ref();
    let part = operators_part(args.iter().skip(1));
    match (part, authority::of_session(profile, password)) {
        (Some(what), Err(lack)) => errors::write(out, &errors::not_an_operator(what, lack)),
        (None, _) if args.iter().map(<[u8]>::len).sum::<usize>() > QUESTION_BYTES_MAX => {
            let name = if args.len() > 1 { args.get(1) } else { b"" };
            errors::unknown_subcommand(out, "UMCTL", name);
        }
        _ => return After::Umctl,
    }
    After::Done
}
