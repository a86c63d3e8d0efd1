//! Finding ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

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
        let port = (from..=u16::MAX).find(|port| self.is_free(*port))?;
        self.given.push(port);
        Some(port)
    }

    /// The first of these distances at which each of `ports` has a free port above it.
    pub(crate) fn distance(&mut self, ports: &[u16], distances: RangeInclusive<u16>) -> Option<u16> {
        let above = |distance: u16| -> Option<Vec<u16>> {
            let above = ports.iter().map(|port| port.checked_add(distance));
            above.map(|port| port.filter(|port| self.is_free(*port))).collect()
        };
        let (distance, found) =
            distances.into_iter().find_map(|distance| Some((distance, above(distance)?)))?;
        self.given.extend(found);
        Some(distance)
    }

    fn is_free(&self, port: u16) -> bool {
        !self.given.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
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
        let distance = ports.distance(&found, 1..=100).unwrap();
        let taken = |port: &u16| found.contains(&(port - distance));
        let above: Vec<u16> = found.iter().map(|port| port + distance).collect();
        assert!(above.iter().all(taken) && !above.iter().any(|port| found.contains(port)), "{distance}");
        assert!(!above.contains(&ports.next(above[0]).unwrap()));
        assert_eq!(ports.distance(&[u16::MAX], 1..=100), None);
        assert!(!ports.several(port, 3).unwrap().iter().any(|again| found.contains(again)));
    }
}
