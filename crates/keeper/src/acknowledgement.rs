//! Whether one certain replica has what its primary had: by the replica's own word.
//!
//! What the primary says of its replicas proves nothing. A count, as WAIT answers it, may be of any servers, such as a
//! backup, and nobody tells those to let go when the replica that the metadata names is promoted. An address, as the
//! primary's INFO lists it, is whatever that replica announces (`replica-announce-ip`, perhaps in a copied `redis.conf`),
//! or from where it was seen to come (another interface, NAT). So the server at the address that the metadata has is asked
//! itself: whether it replicates, which history, and how far it is.

/// A place in a primary's replication stream.
///
/// Each history has an id of its own (`master_replid` of INFO replication): a server that is promoted begins a new one, and
/// a replica tells that of its primary once it has all that came before. So places of one history can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlace {
    history: String,
    offset: u64,
}

impl StreamPlace {
    /// Where a primary is now, by its INFO replication; none where it does not say.
    #[must_use]
    pub fn of_primary(info: &str) -> Option<Self> {
        let offset = field(info, "master_repl_offset")?.parse().ok()?;
        Some(Self { history: field(info, "master_replid")?.to_owned(), offset })
    }

    /// Whether a server follows that primary and has carried out everything up to here, by its INFO replication.
    #[must_use]
    pub fn is_reached_by(&self, replica_info: &str) -> bool {
        let is = |name: &str, value: &str| field(replica_info, name) == Some(value);
        let offset = field(replica_info, "slave_repl_offset").and_then(|offset| offset.parse::<u64>().ok());
        is("role", "slave")
            && is("master_link_status", "up")
            && is("master_replid", &self.history)
            && offset.is_some_and(|offset| offset >= self.offset)
    }
}

/// How many replicas a primary lists.
#[must_use]
pub fn replica_count(info: &str) -> usize {
    let is_replica = |line: &str| {
        let name = line.strip_prefix("slave").and_then(|line| line.split_once(':'));
        name.is_some_and(|(number, _)| number.parse::<u32>().is_ok())
    };
    info.lines().filter(|line| is_replica(line)).count()
}

/// What stands in a line `name:value`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
        slave0:ip=10.0.0.9,port=6379,state=online,offset=900,lag=0\r\n\
        slave1:ip=10.0.0.2,port=6380,state=online,offset=500,lag=1\r\n\
        slave_read_only:1\r\nmaster_replid:abc\r\nmaster_replid2:000\r\nmaster_repl_offset:800\r\n";
    const REPLICA: &str = "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n\
        master_link_status:up\r\nslave_read_repl_offset:950\r\nslave_repl_offset:800\r\nconnected_slaves:0\r\n\
        master_replid:abc\r\nmaster_replid2:000\r\nmaster_repl_offset:800\r\n";

    #[test]
    fn only_who_follows_and_has_everything_counts() {
        let place = StreamPlace::of_primary(PRIMARY).unwrap();
        let other = |from: &str, to: &str| REPLICA.replace(from, to);
        for (info, expected) in [
            (REPLICA.to_owned(), true),
            (other("slave_repl_offset:800", "slave_repl_offset:801"), true),
            // What has come and is not carried out yet does not count.
            (other("slave_repl_offset:800", "slave_repl_offset:799"), false),
            (other("status:up", "status:down"), false),
            // It was promoted, follows another, or was at that place of another history.
            (other("role:slave", "role:master"), false),
            (other("master_replid:abc", "master_replid:abd"), false),
            (other("master_replid:abc", "master_replid:000\r\nmaster_replid2:abc"), false),
            (other("slave_repl_offset:800", "slave_repl_offset:x"), false),
            (PRIMARY.to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(place.is_reached_by(&info), expected, "{info}");
        }
    }

    #[test]
    fn what_a_primary_says() {
        let place = |history: &str, offset| Some(StreamPlace { history: history.to_owned(), offset });
        assert_eq!((StreamPlace::of_primary(PRIMARY), replica_count(PRIMARY)), (place("abc", 800), 2));
        for odd in ["", "role:slave\r\n", "master_replid:abc\r\n", "master_replid:a\r\nmaster_repl_offset:-1"]
        {
            assert_eq!((StreamPlace::of_primary(odd), replica_count(odd)), (None, 0), "{odd}");
        }
    }
}
