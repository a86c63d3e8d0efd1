//! What a session is to its client: identity, protocol, database, names.
//!
//! Plain data that can be written down and read back, so that a session may move to another process. It must
//! stay small: most connections are idle, and each has one of these.

use std::net::SocketAddr;

use resp::Protocol;

use crate::face::Face;

/// The longest client name, library name or version that is kept, in bytes. Redis has no limit of its own; a
/// session's memory has to have one.
pub const CLIENT_NAME_BYTES_MAX: usize = 512;

/// The state of one session that its client can see or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Unique in this proxy and never used again; what CLIENT ID answers.
    pub id: u64,
    /// Unix time of the accept.
    pub created_ms: u64,
    /// Unix time of the last request.
    pub last_used_ms: u64,
    /// The number of its socket, which CLIENT LIST shows.
    pub fd: i32,
    /// The database chosen with SELECT.
    pub db: u32,
    /// The form of the replies.
    pub protocol: Protocol,
    /// Whether the client may send commands: it gave the password, or there is none.
    pub authenticated: bool,
    /// Whether the client may give orders to the proxy: it gave the control password.
    pub operator: bool,
    /// Which of the proxy's addresses it came to.
    pub face: Face,
    /// READONLY: reads of slots of which this proxy has a replica are served from it.
    pub readonly: bool,
    /// The client's end of the connection.
    pub peer: SocketAddr,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// What few clients set, out of the way of those that do not.
    extras: Option<Box<Extras>>,
}

/// The part of a profile that most sessions never set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// CLIENT SETNAME.
    pub name: Box<[u8]>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Box<[u8]>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Box<[u8]>,
    /// CLIENT NO-EVICT.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH.
    pub no_touch: bool,
    /// The user that authenticated; empty is `default`, the only one that there is today.
    pub user: Box<[u8]>,
}

impl Profile {
    /// A session that was just accepted.
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, now_ms: u64) -> Profile {
        Profile {
            id,
            created_ms: now_ms,
            last_used_ms: now_ms,
            fd: 0,
            db: 0,
            protocol: Protocol::Resp2,
            authenticated: false,
            operator: false,
            face: Face::Primary,
            readonly: false,
            peer,
            local,
            extras: None,
        }
    }

    /// The rarely used part, if any of it was ever set.
    pub fn extras(&self) -> Option<&Extras> {
        self.extras.as_deref()
    }

    /// The rarely used part, to change it.
    pub fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// The client's name; empty if it has none.
    pub fn name(&self) -> &[u8] {
        self.extras().map_or(&[], |extras| &extras.name)
    }

    /// Sets the client's name; an empty one removes it.
    pub fn set_name(&mut self, name: &[u8]) {
        if !name.is_empty() || self.extras.is_some() {
            self.extras_mut().name = name.into();
        }
    }

    /// The user name as CLIENT LIST shows it.
    pub fn user(&self) -> &[u8] {
        match self.extras() {
            Some(extras) if !extras.user.is_empty() => &extras.user,
            _ => b"default",
        }
    }

    /// RESET: back to what the session was when it was accepted. `authenticated` tells whether a session needs
    /// no password. As in Redis, the library's name and version stay.
    pub fn reset(&mut self, authenticated: bool) {
        self.db = 0;
        self.protocol = Protocol::Resp2;
        self.authenticated = authenticated;
        self.operator = false;
        self.readonly = false;
        if let Some(extras) = self.extras.as_deref_mut() {
            extras.name = Box::default();
            extras.user = Box::default();
            extras.no_evict = false;
            extras.no_touch = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let end = "127.0.0.1:1".parse().unwrap();
        Profile::new(7, end, end, 1000)
    }

    #[test]
    fn an_idle_session_costs_little() {
        assert!(size_of::<Profile>() <= 128, "{}", size_of::<Profile>());
    }

    #[test]
    fn an_empty_name_allocates_nothing() {
        let mut profile = profile();
        profile.set_name(b"");
        assert!(profile.extras().is_none());
        profile.set_name(b"a");
        profile.set_name(b"");
        assert_eq!(profile.name(), b"");
    }

    #[test]
    fn reset_keeps_identity_and_library() {
        let mut profile = profile();
        profile.db = 3;
        profile.protocol = Protocol::Resp3;
        profile.readonly = true;
        profile.set_name(b"worker");
        profile.extras_mut().lib_name = b"redis-py".as_slice().into();
        profile.extras_mut().no_touch = true;
        profile.reset(true);
        let mut fresh = Profile::new(7, profile.peer, profile.local, 1000);
        fresh.authenticated = true;
        fresh.extras_mut().lib_name = b"redis-py".as_slice().into();
        assert_eq!(profile, fresh);
    }
}
