//! Addresses and proxies of a pool for tests: host `n` is 10.0.0.n, its proxies listen from port 7000 on, and their nodes
//! from 6000 on.

use control_core::NewProxy;
use model::Address;

pub(crate) fn address(host: usize, port: usize) -> Address {
    Address::new(&format!("10.0.0.{host}"), u16::try_from(port).unwrap()).unwrap()
}

/// The proxy in that place of a host, which stands in that order among all where they are ordered.
pub(crate) fn new_proxy(host: usize, place: usize) -> NewProxy {
    let nodes = vec![address(host, 6000 + 2 * place), address(host, 6001 + 2 * place)];
    let index = Some((host * 10 + place) as u64);
    NewProxy { address: address(host, 7000 + place), nodes, host: None, index }
}
