//! AUTH and HELLO: who may use the proxy, and in which protocol.
//!
//! There is one user, `default`. The order of the checks is Redis's.

use resp::{Protocol, encode};

use super::{After, Context, client};
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

/// Nodes from this version on let the options of HELLO take effect only once all of them were read.
const OPTIONS_TOGETHER_SINCE: [u32; 2] = [7, 2];

/// Why HELLO is refused.
enum Refused<'a> {
    /// For the reason that this text gives.
    Text(&'static str),
    /// There is no such option.
    Option(&'a [u8]),
}

impl From<&'static str> for Refused<'_> {
    fn from(text: &'static str) -> Self {
        Refused::Text(text)
    }
}

/// An option of HELLO.
enum Wish<'a> {
    LogIn { user: &'a [u8], password: &'a [u8] },
    Name(&'a [u8]),
}

/// `HELLO [version [AUTH user password] [SETNAME name]]`
pub(super) fn hello(
    args: Args<'_>,
    profile: &mut Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    match greet(args, profile, context) {
        Ok(()) => describe(profile, context, out),
        Err(Refused::Text(error)) => errors::write(out, error),
        Err(Refused::Option(option)) => errors::hello_option(out, option),
    }
    After::Done
}

/// Does what HELLO asks for. The first error, from left to right, ends it.
///
/// Before Redis 7.2 an option took effect as it was read, and holds whatever comes after it. Since then (Valkey
/// included) only a name is looked at while reading, and if any option is wrong, none takes effect. The proxy does as
/// its nodes do.
fn greet<'a>(args: Args<'a>, profile: &mut Profile, context: &Context<'_>) -> Result<(), Refused<'a>> {
    let protocol = wanted_protocol(args)?;
    let together = options_take_effect_together(context.server_version);
    let (mut login, mut name) = (None, None);
    let mut at = 2;
    while at < args.len() {
        match wish(args, &mut at)? {
            Wish::LogIn { user, password } if together => login = Some((user, password)),
            Wish::LogIn { user, password } => require(log_in(user, password, profile, context.settings))?,
            Wish::Name(given) => {
                client::check_name(given)?;
                if together { name = Some(given) } else { profile.set_name(given) }
            }
        }
    }
    if let Some((user, password)) = login {
        require(log_in(user, password, profile, context.settings))?;
    }
    if needs_auth(profile, context.settings) {
        return Err(errors::HELLO_NOAUTH.into());
    }
    if let Some(name) = name {
        profile.set_name(name);
    }
    if let Some(protocol) = protocol {
        profile.protocol = protocol;
    }
    Ok(())
}

fn require(logged_in: bool) -> Result<(), &'static str> {
    if logged_in { Ok(()) } else { Err(errors::WRONGPASS) }
}

fn wanted_protocol(args: Args<'_>) -> Result<Option<Protocol>, &'static str> {
    if args.len() < 2 {
        return Ok(None);
    }
    match decimal::parse(args.get(1)) {
        Some(2) => Ok(Some(Protocol::Resp2)),
        Some(3) => Ok(Some(Protocol::Resp3)),
        Some(_) => Err(errors::NOPROTO),
        None => Err(errors::PROTOCOL_VERSION_NOT_INTEGER),
    }
}

/// The option at `at`, which then stands behind it.
fn wish<'a>(args: Args<'a>, at: &mut usize) -> Result<Wish<'a>, Refused<'a>> {
    let (place, option) = (*at, args.get(*at));
    let values = args.len() - 1 - place;
    if option.eq_ignore_ascii_case(b"AUTH") && values >= 2 {
        *at += 3;
        Ok(Wish::LogIn { user: args.get(place + 1), password: args.get(place + 2) })
    } else if option.eq_ignore_ascii_case(b"SETNAME") && values >= 1 {
        *at += 2;
        Ok(Wish::Name(args.get(place + 1)))
    } else {
        Err(Refused::Option(option))
    }
}

fn options_take_effect_together(server_version: &str) -> bool {
    let mut numbers = server_version.split('.').map(|number| number.parse().unwrap_or(0));
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)] >= OPTIONS_TOGETHER_SINCE
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
