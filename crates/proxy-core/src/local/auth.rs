//! AUTH and HELLO: who may use the proxy, and in which protocol.
//!
//! There is one user, `default`. The order of the checks is Redis's: a HELLO whose AUTH succeeds stays
//! authenticated even if a later option is wrong.

use resp::{Protocol, encode};

use super::{After, Context};
use crate::command::{Args, LocalCommand};
use crate::profile::Profile;
use crate::settings::Settings;
use crate::{decimal, errors};

/// The only user.
const USER: &[u8] = b"default";

/// Whether the session must authenticate before anything but AUTH, HELLO, QUIT and RESET is answered.
pub fn needs_auth(profile: &Profile, settings: &Settings) -> bool {
    !profile.authenticated && settings.password.is_some()
}

/// Whether a client that has not authenticated may send the command.
pub(super) fn allowed_before(command: LocalCommand) -> bool {
    matches!(command, LocalCommand::Auth | LocalCommand::Hello | LocalCommand::Quit | LocalCommand::Reset)
}

/// `AUTH [user] password`
pub(super) fn auth(args: Args<'_>, profile: &mut Profile, context: &Context<'_>, out: &mut Vec<u8>) -> After {
    let (user, password) = match args.len() {
        2 if context.settings.password.is_none() => {
            errors::write(out, errors::AUTH_NOT_CONFIGURED);
            return After::Done;
        }
        2 => (USER, args.get(1)),
        3 => (args.get(1), args.get(2)),
        _ => {
            errors::write(out, errors::SYNTAX);
            return After::Done;
        }
    };
    if log_in(user, password, profile, context.settings) {
        encode::simple(out, "OK");
    } else {
        errors::write(out, errors::WRONGPASS);
    }
    After::Done
}

/// As in Redis, without a password set the user `default` may log in with any.
fn log_in(user: &[u8], password: &[u8], profile: &mut Profile, settings: &Settings) -> bool {
    let right = user == USER && settings.password.as_ref().is_none_or(|secret| secret.is(password));
    profile.authenticated |= right;
    right
}

/// What HELLO asks for.
#[derive(Default)]
struct Wishes<'a> {
    protocol: Option<Protocol>,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

/// `HELLO [version [AUTH user password] [SETNAME name]]`
pub(super) fn hello(
    args: Args<'_>,
    profile: &mut Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    let Some(wishes) = wishes(args, out) else { return After::Done };
    if let Some((user, password)) = wishes.login
        && !log_in(user, password, profile, context.settings)
    {
        errors::write(out, errors::WRONGPASS);
        return After::Done;
    }
    if needs_auth(profile, context.settings) {
        errors::write(out, errors::HELLO_NOAUTH);
        return After::Done;
    }
    if let Some(name) = wishes.name
        && !super::client::set_name(name, profile, out)
    {
        return After::Done;
    }
    if let Some(protocol) = wishes.protocol {
        profile.protocol = protocol;
    }
    describe(profile, context, out);
    After::Done
}

/// Reads the options, or writes the error.
fn wishes<'a>(args: Args<'a>, out: &mut Vec<u8>) -> Option<Wishes<'a>> {
    let mut wishes = Wishes::default();
    if args.len() > 1 {
        wishes.protocol = match decimal::parse(args.get(1)) {
            Some(2) => Some(Protocol::Resp2),
            Some(3) => Some(Protocol::Resp3),
            Some(_) => {
                errors::write(out, errors::NOPROTO);
                return None;
            }
            None => {
                errors::write(out, errors::PROTOCOL_VERSION_NOT_INTEGER);
                return None;
            }
        };
    }
    let mut at = 2;
    while at < args.len() {
        let option = args.get(at);
        let values = args.len() - 1 - at;
        if option.eq_ignore_ascii_case(b"AUTH") && values >= 2 {
            wishes.login = Some((args.get(at + 1), args.get(at + 2)));
            at += 3;
        } else if option.eq_ignore_ascii_case(b"SETNAME") && values >= 1 {
            wishes.name = Some(args.get(at + 1));
            at += 2;
        } else {
            errors::hello_option(out, option);
            return None;
        }
    }
    Some(wishes)
}

/// The map that HELLO answers.
fn describe(profile: &Profile, context: &Context<'_>, out: &mut Vec<u8>) {
    let version = match profile.protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    let role = context.cluster.map_or("master", |cluster| cluster.role().as_str());
    encode::map(out, profile.protocol, 7);
    encode::bulk(out, b"server");
    encode::bulk(out, b"redis");
    encode::bulk(out, b"version");
    encode::bulk(out, context.server_version.as_bytes());
    encode::bulk(out, b"proto");
    encode::integer(out, version);
    encode::bulk(out, b"id");
    encode::integer(out, profile.id as i64);
    encode::bulk(out, b"mode");
    encode::bulk(out, b"cluster");
    encode::bulk(out, b"role");
    encode::bulk(out, role.as_bytes());
    encode::bulk(out, b"modules");
    encode::array(out, 0);
}
