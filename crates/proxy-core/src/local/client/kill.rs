//! CLIENT KILL, in its old form with an address and its new one with options.

use resp::encode;

use super::ClientFilter;
use crate::command::Args;
use crate::{decimal, errors};

/// What CLIENT KILL asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKill {
    /// Whom to close.
    pub filter: ClientFilter,
    /// Leave out the client that asks. It is not in the filter because the asker's number is not an argument.
    pub skip_me: bool,
    /// The old form: its reply is `OK` or an error, not a number.
    pub by_address_only: bool,
}

impl ClientKill {
    /// Reads the arguments. Writes the error and returns none if they are wrong.
    pub fn parse(args: Args<'_>, out: &mut Vec<u8>) -> Option<ClientKill> {
        let mut kill = ClientKill { filter: ClientFilter::default(), skip_me: true, by_address_only: false };
        if args.len() == 3 {
            kill.filter.address = Some(text(args.get(2)));
            kill.skip_me = false;
            kill.by_address_only = true;
            return Some(kill);
        }
        for at in (2..args.len()).step_by(2) {
            if at + 1 == args.len() {
                errors::write(out, errors::SYNTAX);
                return None;
            }
            kill.option(args.get(at), args.get(at + 1), out)?;
        }
        Some(kill)
    }

    fn option(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match name.to_ascii_uppercase().as_slice() {
            b"ID" => self.filter.ids = vec![positive(value, errors::BAD_CLIENT_ID, out)?],
            b"MAXAGE" => self.filter.age_s_min = Some(positive(value, errors::BAD_MAX_AGE, out)?),
            b"TYPE" => self.filter.set_type(value, out)?,
            b"ADDR" => self.filter.address = Some(text(value)),
            b"LADDR" => self.filter.local_address = Some(text(value)),
            b"USER" if value == b"default" => self.filter.user = Some(value.into()),
            b"USER" => {
                errors::unknown_user(out, value);
                return None;
            }
            b"SKIPME" if value.eq_ignore_ascii_case(b"yes") => self.skip_me = true,
            b"SKIPME" if value.eq_ignore_ascii_case(b"no") => self.skip_me = false,
            _ => {
                errors::write(out, errors::SYNTAX);
                return None;
            }
        }
        Some(())
    }

    /// Appends the reply when `killed` clients were closed.
    pub fn reply(&self, killed: usize, out: &mut Vec<u8>) {
        match (self.by_address_only, killed) {
            (true, 0) => errors::write(out, errors::NO_SUCH_CLIENT),
            (true, _) => encode::simple(out, "OK"),
            (false, _) => encode::integer(out, killed as i64),
        }
    }
}

/// Addresses are compared as texts; one that is no text matches nothing.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn positive(value: &[u8], error: &str, out: &mut Vec<u8>) -> Option<u64> {
    let number =
        decimal::parse(value).and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
    if number.is_none() {
        errors::write(out, error);
    }
    number
}
