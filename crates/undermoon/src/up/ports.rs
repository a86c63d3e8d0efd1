//! Finding ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};

/// Looks for free ports on the loopback address, upwards from where it is told, and never gives one out twice.
///
/// A port can be taken by someone else between this look and its use; the server that then cannot listen says so.
#[derive(Debug, Default)]
pub(crate) struct FreePorts {
    given: Vec<u16>,
}

impl FreePorts {
    /// The first free port at `from` or above, or `None` when there is none.
    pub(crate) fn next(&mut self, from: u16) -> Option<u16> {
        let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let port = (from..=u16::MAX).find(|port| !self.given.contains(port) && free(port))?;
        self.given.push(port);
        Some(port)
    }

    /// The first `count` free ports at `from` or above, ascending.
    pub(crate) fn several(&mut self, from: u16, count: usize) -> Option<Vec<u16>> {
        (0..count).map(|_| self.next(from)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::FreePorts;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn taken_ports_are_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut ports = FreePorts::default();
        let found = ports.several(port, 3).unwrap();
        assert!(
            !found.contains(&port) && found.is_sorted() && found.iter().all(|other| *other > port),
            "{found:?}"
        );
        assert!(!ports.several(port, 3).unwrap().iter().any(|again| found.contains(again)));
    }
}
