//! Who may give orders. Pure.
//!
//! With a `control_password`, callers that have given it may (UMCTL AUTH, AUTH at `control_address`, or a bearer
//! token over HTTP). Without one, everybody on this machine may, and nobody else. A client's own password is never
//! enough.

use std::net::{IpAddr, SocketAddr};

use crate::profile::Profile;
use crate::settings::Password;

/// Why a caller may not give orders. `Display` goes on from "… is for operators: ".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// `control_password` is set, and was not given.
    #[error("give `control_password` with UMCTL AUTH first")]
    Password,
    /// None is set, and the peer is on another machine.
    #[error(
        "set `control_password` for this proxy and give it with UMCTL AUTH, or ask from this proxy's own host; \
         without a password no other host may"
    )]
    Place,
}

/// Whether a session of the clients' port may give orders.
///
/// # Errors
/// What it lacks.
pub fn of_session(profile: &Profile, password: Option<&Password>) -> Result<(), Lack> {
    match password {
        Some(_) if profile.operator => Ok(()),
        Some(_) => Err(Lack::Password),
        None => of_place(profile.peer, profile.local),
    }
}

/// Whether a peer is on this machine: on the loopback, or at the same address as our own end, which is how the kernel
/// connects a machine to itself.
///
/// # Errors
/// [`Lack::Place`].
pub fn of_place(peer: SocketAddr, local: SocketAddr) -> Result<(), Lack> {
    let (peer, local) = (plain(peer.ip()), plain(local.ip()));
    if peer.is_loopback() || peer == local { Ok(()) } else { Err(Lack::Place) }
}

/// An IPv4 address in IPv6's clothes is that IPv4 address.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_give_orders() {
        let password = Password::new(b"op");
        for (peer, local, gave, without, with) in [
            ("127.0.0.1:5", "127.0.0.1:1", false, Ok(()), Err(Lack::Password)),
            ("127.0.0.9:5", "10.0.0.1:1", false, Ok(()), Err(Lack::Password)),
            ("10.0.0.1:5", "10.0.0.1:1", false, Ok(()), Err(Lack::Password)),
            ("[::1]:5", "[::1]:1", false, Ok(()), Err(Lack::Password)),
            ("[::ffff:10.0.0.1]:5", "10.0.0.1:1", false, Ok(()), Err(Lack::Password)),
            ("[::ffff:127.0.0.1]:5", "[::ffff:10.0.0.1]:1", false, Ok(()), Err(Lack::Password)),
            ("10.0.0.2:5", "10.0.0.1:1", false, Err(Lack::Place), Err(Lack::Password)),
            ("10.0.0.2:5", "10.0.0.1:1", true, Err(Lack::Place), Ok(())),
            ("[::ffff:10.0.0.2]:5", "[::ffff:10.0.0.1]:1", false, Err(Lack::Place), Err(Lack::Password)),
        ] {
            let mut profile = Profile::new(1, peer.parse().unwrap(), local.parse().unwrap(), 0);
            // A client's password changes nothing.
            profile.authenticated = true;
            profile.operator = gave;
            assert_eq!(of_session(&profile, None), without, "{peer} {local} {gave}");
            assert_eq!(of_session(&profile, password.as_ref()), with, "{peer} {local} {gave}");
        }
    }
}
