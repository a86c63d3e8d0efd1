//! CLIENT: what a connection can ask about and do to itself and others.

mod filter;
mod kill;
mod line;
mod pause;

use resp::{Protocol, encode};

pub use self::filter::{ClientFilter, ClientType};
pub use self::kill::ClientKill;
pub use self::line::{ClientLine, SessionUse, client_line};
pub use self::pause::{ClientPause, PauseMode};
use super::{After, Context, ControlRequest, help};
use crate::command::{Args, ClientCommand};
use crate::profile::{CLIENT_NAME_BYTES_MAX, Profile};
use crate::{decimal, errors};

/// `CLIENT …`
pub(super) fn answer(
    sub: ClientCommand,
    args: Args<'_>,
    profile: &mut Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    match sub {
        ClientCommand::Id => encode::integer(out, profile.id as i64),
        ClientCommand::Getname if profile.name().is_empty() => encode::null(out, profile.protocol),
        ClientCommand::Getname => encode::bulk(out, profile.name()),
        ClientCommand::Setname => set_name(args.get(2), profile, out),
        ClientCommand::Setinfo => set_info(args, profile, out),
        ClientCommand::NoEvict => {
            if let Some(on) = on_off(args.get(2), out) {
                profile.extras_mut().no_evict = on;
            }
        }
        ClientCommand::NoTouch => {
            if let Some(on) = on_off(args.get(2), out) {
                profile.extras_mut().no_touch = on;
            }
        }
        // The client says what it understands; nothing here depends on it.
        ClientCommand::Capa => encode::simple(out, "OK"),
        ClientCommand::Getredir => encode::integer(out, -1),
        ClientCommand::Trackinginfo => tracking_info(profile.protocol, out),
        ClientCommand::Help => help::write(out, help::CLIENT),
        ClientCommand::Info => info(profile, context, out),
        ClientCommand::List => return control(ClientFilter::parse(args, out), ControlRequest::ClientList),
        ClientCommand::Kill => return control(ClientKill::parse(args, out), ControlRequest::ClientKill),
        ClientCommand::Pause => {
            let pause = ClientPause::parse(args, context.now_us / 1000, out);
            return control(pause, ControlRequest::ClientPause);
        }
        ClientCommand::Unpause => return After::Control(Box::new(ControlRequest::ClientUnpause)),
        ClientCommand::Unblock => return control(unblock(args, out), |request| request),
    }
    After::Done
}

/// Arguments that were understood go to the control thread; for others the error is already written.
fn control<T>(parsed: Option<T>, request: impl FnOnce(T) -> ControlRequest) -> After {
    parsed.map_or(After::Done, |parsed| After::Control(Box::new(request(parsed))))
}

/// Appends the reply to CLIENT LIST: the lines that [`client_line`] wrote, in any number.
pub fn list_reply(lines: &[u8], protocol: Protocol, out: &mut Vec<u8>) {
    encode::verbatim(out, protocol, "txt", lines);
}

/// Whether a client may be called so; if not, the error.
pub(super) fn check_name(name: &[u8]) -> Result<(), &'static str> {
    match name.len() {
        _ if !is_printable(name) => Err(errors::BAD_CLIENT_NAME),
        0..=CLIENT_NAME_BYTES_MAX => Ok(()),
        _ => Err(errors::CLIENT_NAME_TOO_LONG),
    }
}

/// `CLIENT SETNAME name`. An empty name removes it.
fn set_name(name: &[u8], profile: &mut Profile, out: &mut Vec<u8>) {
    match check_name(name) {
        Ok(()) => {
            profile.set_name(name);
            encode::simple(out, "OK");
        }
        Err(error) => errors::write(out, error),
    }
}

/// Whether a name fits into a line of CLIENT LIST without breaking its form.
fn is_printable(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// `CLIENT SETINFO (LIB-NAME|LIB-VER) value`
fn set_info(args: Args<'_>, profile: &mut Profile, out: &mut Vec<u8>) {
    let (attribute, value) = (args.get(2), args.get(3));
    let is_name = attribute.eq_ignore_ascii_case(b"LIB-NAME");
    if !is_name && !attribute.eq_ignore_ascii_case(b"LIB-VER") {
        return errors::unknown_attribute(out, attribute);
    }
    if !is_printable(value) {
        return errors::bad_attribute(out, attribute);
    }
    if value.len() > CLIENT_NAME_BYTES_MAX {
        return errors::write(out, errors::CLIENT_NAME_TOO_LONG);
    }
    let extras = profile.extras_mut();
    let place = if is_name { &mut extras.lib_name } else { &mut extras.lib_ver };
    *place = value.into();
    encode::simple(out, "OK");
}

/// Reads the switch and answers `OK`, or writes the error.
fn on_off(word: &[u8], out: &mut Vec<u8>) -> Option<bool> {
    let on = word.eq_ignore_ascii_case(b"ON");
    if !on && !word.eq_ignore_ascii_case(b"OFF") {
        errors::write(out, errors::SYNTAX);
        return None;
    }
    encode::simple(out, "OK");
    Some(on)
}

/// `CLIENT TRACKINGINFO` of a connection that tracks nothing.
fn tracking_info(protocol: Protocol, out: &mut Vec<u8>) {
    encode::map(out, protocol, 3);
    encode::bulk(out, b"flags");
    encode::set(out, protocol, 1);
    encode::bulk(out, b"off");
    encode::bulk(out, b"redirect");
    encode::integer(out, -1);
    encode::bulk(out, b"prefixes");
    encode::array(out, 0);
}

/// `CLIENT INFO`
fn info(profile: &Profile, context: &Context<'_>, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    let now_ms = context.now_us / 1000;
    let session_use = context.session_use;
    client_line(&mut text, &ClientLine { profile, session_use, command: "client|info", now_ms });
    encode::verbatim(out, profile.protocol, "txt", &text);
}

/// `CLIENT UNBLOCK id [TIMEOUT|ERROR]`
fn unblock(args: Args<'_>, out: &mut Vec<u8>) -> Option<ControlRequest> {
    let with_error = match args.len() {
        3 => false,
        4 if args.get(3).eq_ignore_ascii_case(b"TIMEOUT") => false,
        4 if args.get(3).eq_ignore_ascii_case(b"ERROR") => true,
        _ => {
            errors::write(out, errors::UNBLOCK_REASON);
            return None;
        }
    };
    let Some(id) = decimal::parse(args.get(2)) else {
        errors::write(out, errors::NOT_INTEGER);
        return None;
    };
    // No client has such a number; 0 neither, so it is answered like one that does not exist.
    let id = u64::try_from(id).unwrap_or(0);
    Some(ControlRequest::ClientUnblock { id, with_error })
}
