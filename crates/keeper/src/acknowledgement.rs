//! Whether one certain replica has what its primary had: read from the primary's INFO replication.
//!
//! A count of replicas, as WAIT answers it, proves nothing: any server may replicate the primary, such as a backup, and it
//! is not told to let go when the replica that the metadata name is promoted. So the one that is named must be found
//! by its address among those that the primary lists, with an offset that it has acknowledged itself.

use std::net::IpAddr;

use model::Address;

/// A replica that the metadata name, and the addresses for which its name stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedReplica {
    /// Its name.
    pub address: Address,
    /// What the name stands for.
    pub ips: Vec<IpAddr>,
}

impl NamedReplica {
    /// Whether a primary that lists this address means this replica. A replica that is told to announce a name
    /// (`replica-announce-ip`) is listed with that.
    fn is_at(&self, host: &str, port: u16) -> bool {
        let is_host = || match host.parse::<IpAddr>() {
            Ok(ip) => self.ips.iter().any(|own| own.to_canonical() == ip.to_canonical()),
            Err(_) => host.eq_ignore_ascii_case(self.address.host()),
        };
        port == self.address.port() && is_host()
    }
}

/// How far a primary is in its replication stream.
#[must_use]
pub fn primary_offset(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")?.trim().parse().ok())
}

/// How many replicas a primary lists.
#[must_use]
pub fn replica_count(info: &str) -> usize {
    replicas(info).count()
}

/// Whether the replica is among those that a primary lists, is online, and has acknowledged this offset.
#[must_use]
pub fn has_acknowledged(info: &str, replica: &NamedReplica, offset: u64) -> bool {
    replicas(info).any(|line| {
        let field = |name: &str| {
            line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).map(str::trim)
        };
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
        let port = number("port").and_then(|port| u16::try_from(port).ok());
        let is_named = field("ip").zip(port).is_some_and(|(host, port)| replica.is_at(host, port));
        is_named && field("state") == Some("online") && number("offset").is_some_and(|has| has >= offset)
    })
}

/// The lines `slave<n>:ip=…,port=…,state=…,offset=…,lag=…`, without their names.
fn replicas(info: &str) -> impl Iterator<Item = &str> {
    info.lines().filter_map(|line| {
        let (number, fields) = line.strip_prefix("slave")?.split_once(':')?;
        number.parse::<u32>().is_ok().then_some(fields)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
        slave0:ip=10.0.0.9,port=6379,state=online,offset=900,lag=0\r\n\
        slave1:ip=10.0.0.2,port=6380,state=online,offset=500,lag=1\r\n\
        slave2:ip=10.0.0.3,port=6380,state=wait_bgsave,offset=0,lag=0\r\n\
        slave3:ip=redis-4.local,port=6380,state=online,offset=700,lag=0\r\n\
        slave_read_only:1\r\nmaster_repl_offset:800\r\n";

    fn named(address: &str, ips: &[&str]) -> NamedReplica {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        NamedReplica { address: address.parse().unwrap(), ips }
    }

    #[test]
    fn only_the_named_one_counts() {
        for (address, ips, offset, expected) in [
            ("10.0.0.2:6380", &["10.0.0.2"][..], 500, true),
            ("10.0.0.2:6380", &["10.0.0.2"], 501, false),
            ("10.0.0.2:6380", &["::ffff:10.0.0.2"], 500, true),
            // Others that are further do not count for it.
            ("10.0.0.2:6379", &["10.0.0.2"], 500, false),
            ("10.0.0.7:6379", &["10.0.0.7"], 100, false),
            ("redis-2:6380", &["10.0.1.2", "10.0.0.2"], 400, true),
            ("redis-2:6380", &[], 400, false),
            // It is being given everything anew.
            ("10.0.0.3:6380", &["10.0.0.3"], 0, false),
            ("REDIS-4.local:6380", &["10.0.0.4"], 700, true),
        ] {
            let replica = named(address, ips);
            assert_eq!(has_acknowledged(INFO, &replica, offset), expected, "{address} {ips:?} {offset}");
        }
    }

    #[test]
    fn what_a_primary_says() {
        assert_eq!((primary_offset(INFO), replica_count(INFO)), (Some(800), 4));
        assert_eq!((primary_offset("role:slave\r\n"), replica_count("")), (None, 0));
        for odd in
            ["slave0:", "slave0:ip=10.0.0.2", "slave0:ip=10.0.0.2,port=x,offset=9", "slave:ip=1,port=1"]
        {
            assert!(!has_acknowledged(odd, &named("10.0.0.2:6380", &["10.0.0.2"]), 0), "{odd}");
        }
    }
}
