//! Taking a port before the workers share it.
//!
//! The workers' listeners have SO_REUSEPORT, and so would those of a second proxy on the same port: the kernel would
//! let both listen and give each a part of the clients. So the port is first bound without it, which fails where
//! anybody listens; only then is the claim opened for sharing.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::RunError;
use crate::worker::FaceAddresses;

/// A bound socket that never listens; to be held until the workers listen.
#[derive(Debug)]
pub(super) struct PortClaim {
    _socket: Socket,
    address: SocketAddr,
}

impl PortClaim {
    /// Claims `address`; for port 0 the system chooses one.
    ///
    /// # Errors
    /// [`RunError::Listen`] when the address is taken or not one of this host.
    pub(super) fn take(address: SocketAddr) -> Result<PortClaim, RunError> {
        bind(address).map_err(|error| RunError::Listen(address, error))
    }

    /// The address, its port chosen.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The claims of a proxy's faces.
#[derive(Debug)]
pub(super) struct FaceClaims {
    primary: PortClaim,
    replica: Option<PortClaim>,
}

impl FaceClaims {
    /// Takes both, or the only one.
    ///
    /// # Errors
    /// As [`PortClaim::take`].
    pub(super) fn take(address: SocketAddr, replica: Option<SocketAddr>) -> Result<FaceClaims, RunError> {
        let primary = PortClaim::take(address)?;
        let replica = replica.map(PortClaim::take).transpose()?;
        Ok(FaceClaims { primary, replica })
    }

    /// Where the faces are.
    pub(super) fn addresses(&self) -> FaceAddresses {
        let replica = self.replica.as_ref().map(PortClaim::address);
        FaceAddresses { primary: self.primary.address(), replica }
    }
}

fn bind(address: SocketAddr) -> io::Result<PortClaim> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier process that linger in TIME_WAIT are no obstacle; a listener still is.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(PortClaim { _socket: socket, address: bound })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn sharing_listener(address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(1)?;
        Ok(socket)
    }

    #[test]
    fn a_claimed_port_can_be_shared_but_not_claimed_again_once_somebody_listens() {
        let claim = PortClaim::take(any()).unwrap();
        let address = claim.address();
        assert_ne!(address.port(), 0);
        let listeners = [sharing_listener(address).unwrap(), sharing_listener(address).unwrap()];
        drop(claim);
        assert!(matches!(PortClaim::take(address), Err(RunError::Listen(refused, _)) if refused == address));
        drop(listeners);
        PortClaim::take(address).unwrap();
    }
}
