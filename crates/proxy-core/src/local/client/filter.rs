//! Which clients CLIENT LIST and CLIENT KILL mean.

use crate::command::Args;
use crate::profile::Profile;
use crate::{decimal, errors};

/// A condition on sessions; an empty one means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// One of these numbers, if any is named.
    pub ids: Vec<u64>,
    /// The client's address, `ip:port`.
    pub address: Option<String>,
    /// Our address of the connection, `ip:port`.
    pub local_address: Option<String>,
    /// The type of the client.
    pub client_type: Option<ClientType>,
    /// The user that it authenticated as.
    pub user: Option<Box<[u8]>>,
    /// The least age of the connection.
    pub age_s_min: Option<u64>,
    /// Not this client.
    pub skip: Option<u64>,
}

/// What a client does, as Redis divides them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientType {
    /// Sends commands.
    Normal,
    /// Replicates to us: no proxy has any.
    Primary,
    /// Replicates from us: no proxy has any.
    Replica,
    /// Is subscribed to something.
    Pubsub,
}

impl ClientType {
    /// The type of that name, in any case.
    pub(super) fn from_word(word: &[u8]) -> Option<ClientType> {
        Some(match word.to_ascii_lowercase().as_slice() {
            b"normal" => ClientType::Normal,
            b"master" | b"primary" => ClientType::Primary,
            b"replica" | b"slave" => ClientType::Replica,
            b"pubsub" => ClientType::Pubsub,
            _ => return None,
        })
    }
}

impl ClientFilter {
    /// The arguments of `CLIENT LIST [TYPE type] [ID id…]`. Writes the error and returns none if they are wrong.
    pub fn parse(args: Args<'_>, out: &mut Vec<u8>) -> Option<ClientFilter> {
        let mut filter = ClientFilter::default();
        if args.len() == 2 {
            return Some(filter);
        }
        let option = args.get(2);
        if args.len() == 4 && option.eq_ignore_ascii_case(b"TYPE") {
            filter.set_type(args.get(3), out)?;
        } else if args.len() >= 4 && option.eq_ignore_ascii_case(b"ID") {
            for at in 3..args.len() {
                let Some(id) = decimal::parse(args.get(at)) else {
                    errors::write(out, errors::INVALID_CLIENT_ID);
                    return None;
                };
                // A negative number is nobody's, as 0 is.
                filter.ids.push(u64::try_from(id).unwrap_or(0));
            }
        } else {
            errors::write(out, errors::SYNTAX);
            return None;
        }
        Some(filter)
    }

    /// Demands a type, or writes the error.
    pub(super) fn set_type(&mut self, word: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.client_type = ClientType::from_word(word);
        if self.client_type.is_none() {
            errors::unknown_client_type(out, word);
        }
        self.client_type.map(|_| ())
    }

    /// Whether the filter means that session.
    pub fn matches(&self, profile: &Profile, client_type: ClientType, now_ms: u64) -> bool {
        let is = |wanted: &Option<String>, address: std::net::SocketAddr| {
            wanted.as_ref().is_none_or(|wanted| *wanted == address.to_string())
        };
        let age_s = now_ms.saturating_sub(profile.created_ms) / 1000;
        (self.ids.is_empty() || self.ids.contains(&profile.id))
            && self.skip != Some(profile.id)
            && self.client_type.is_none_or(|wanted| wanted == client_type)
            && self.user.as_ref().is_none_or(|user| **user == *profile.user())
            && self.age_s_min.is_none_or(|least| age_s >= least)
            && is(&self.address, profile.peer)
            && is(&self.local_address, profile.local)
    }
}
