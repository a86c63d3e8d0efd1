//! The two faces of a proxy: the addresses that clients see, each with one role.
//!
//! A proxy fronts primaries and replicas, and to clients an address is one node of the cluster, which is either. So
//! the primaries answer at the proxy's own address, and the replicas, where `replica_port_offset` is set, at a second
//! one. Nothing here listens: the driver says which face a session came to.

use std::num::NonZeroU16;

use model::Address;

/// Which of a proxy's addresses a session came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Face {
    /// The proxy's own address: its nodes that own slots.
    #[default]
    Primary,
    /// The second address: its nodes that have copies of slots.
    Replica,
}

/// Where the replica face of the proxy at `proxy` is; `None` beyond the last port.
///
/// The offset is the same for all proxies of a cluster, so that each knows the faces of the others.
#[must_use]
pub fn replica_address(proxy: &Address, offset: NonZeroU16) -> Option<Address> {
    let port = proxy.port().checked_add(offset.get())?;
    Address::new(proxy.host(), port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_face_is_on_the_same_host() {
        for (proxy, offset, expected) in [
            ("127.0.0.1:5299", 400, Some("127.0.0.1:5699")),
            ("[::1]:5299", 1, Some("[::1]:5300")),
            ("proxy-0.local:65000", 535, Some("proxy-0.local:65535")),
            ("127.0.0.1:65000", 536, None),
        ] {
            let found = replica_address(&proxy.parse().unwrap(), NonZeroU16::new(offset).unwrap());
            assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{proxy} + {offset}");
        }
    }
}
