//! What a node says of itself, as far as failover goes.

/// A node's replication role, as its INFO tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NodeRole {
    /// It replicates nobody.
    #[default]
    Primary,
    /// It replicates another node.
    Replica {
        /// The primary's host, as it was given to the node.
        host: String,
        /// The primary's port.
        port: u16,
        /// The link to it.
        link: NodeLink,
    },
}

/// A replica's link to its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeLink {
    /// It follows.
    Up,
    /// It is up, and nothing comes over it. A replica that its primary refused is one by the old protocol: it asks with PSYNC,
    /// is told that the primary is a replica itself, and asks with SYNC in the moment in which that becomes a primary. Of
    /// such a replica a primary awaits a word that it never says before it sends what is written.
    Mute,
    /// The replica is copying all data from its primary, or has not reached that primary yet.
    Syncing,
    /// It has lost its primary.
    Down {
        /// For how long, in seconds.
        for_s: u64,
    },
}

/// Which process a node is, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeProcess {
    /// Its number.
    pub pid: u32,
    /// The path of its program.
    pub executable: String,
}

/// The part of INFO that matters to failover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its role.
    pub role: NodeRole,
    /// Names the process: a node that restarts has another.
    pub run_id: String,
    /// The process, by what it says of itself.
    pub process: Option<NodeProcess>,
    /// Whether it is another process than the one that was given its role.
    pub restarted: bool,
    /// Whether it is still loading its data, and so answers hardly anything.
    pub loading: bool,
    /// Bytes of the replication stream: written by a primary, processed by a replica.
    pub offset: u64,
    /// For how many seconds nothing has come from its primary, while the link is up.
    pub link_silent_s: u64,
    /// Replicas connected to it.
    pub replicas: u32,
    /// Keys that it has, in all databases.
    pub keys: u64,
    /// Whether it writes each change to a log on its disk (`aof_enabled`).
    pub keeps_log: bool,
}

impl NodeStatus {
    /// Reads the text of INFO; fields that are missing keep their defaults.
    #[must_use]
    pub fn of_info(info: &str) -> NodeStatus {
        let mut status = NodeStatus::default();
        let (mut replica, mut host, mut port, mut link_up) = (false, String::new(), 0, false);
        let (mut syncing, mut down_s) = (false, None);
        let mut replica_offset = None;
        let (mut pid, mut executable) = (None, String::new());
        for line in info.lines() {
            let Some((field, value)) = line.trim_end().split_once(':') else { continue };
            match field {
                "run_id" => status.run_id = value.to_owned(),
                "process_id" => pid = value.parse().ok(),
                "executable" => executable = value.to_owned(),
                "role" => replica = value == "slave",
                "loading" => status.loading = value == "1",
                "aof_enabled" => status.keeps_log = value == "1",
                "master_host" => host = value.to_owned(),
                "master_port" => port = value.parse().unwrap_or(0),
                "master_link_status" => link_up = value == "up",
                "master_last_io_seconds_ago" => status.link_silent_s = value.parse().unwrap_or(0),
                "master_sync_in_progress" => syncing = value == "1",
                // -1 where there never was a link to this primary.
                "master_link_down_since_seconds" => down_s = value.parse().ok(),
                "master_repl_offset" => status.offset = value.parse().unwrap_or(0),
                // -1 by the old protocol.
                "slave_repl_offset" => replica_offset = value.parse::<i64>().ok(),
                "connected_slaves" => status.replicas = value.parse().unwrap_or(0),
                _ if is_database(field) => status.keys += keys(value),
                _ => {}
            }
        }
        status.process = pid.map(|pid| NodeProcess { pid, executable });
        if replica {
            let is_mute = replica_offset.is_some_and(|offset| offset < 0);
            let link = match (link_up, syncing, down_s) {
                (true, ..) if is_mute => NodeLink::Mute,
                (true, ..) => NodeLink::Up,
                (false, false, Some(for_s)) => NodeLink::Down { for_s },
                (false, ..) => NodeLink::Syncing,
            };
            status.role = NodeRole::Replica { host, port, link };
            status.offset = replica_offset.map_or(status.offset, |offset| offset.try_into().unwrap_or(0));
        }
        status
    }
}

/// Whether this is a line of INFO's section `Keyspace`, as `db0:keys=5,expires=0,avg_ttl=0`.
fn is_database(field: &str) -> bool {
    let number = field.strip_prefix("db").unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// How many keys such a line counts.
fn keys(line: &str) -> u64 {
    let mut counts = line.split(',').filter_map(|count| count.strip_prefix("keys=")?.parse().ok());
    counts.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "# Server\r\nredis_version:7.0.15\r\nprocess_id:21\r\nrun_id:abc\r\nexecutable:/bin/redis-server\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\n# Replication\r\n\
        role:master\r\nconnected_slaves:1\r\nmaster_repl_offset:42\r\n# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\n\
        db3:keys=7,expires=1,avg_ttl=9\r\n";
    const REPLICA: &str = "redis_version:7.2.4\r\nloading:1\r\nrole:slave\r\nmaster_host:10.0.0.2\r\n\
        master_port:6379\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:12\r\nslave_repl_offset:7\r\nmaster_repl_offset:9\r\n";

    #[test]
    fn info_is_read() {
        let primary = NodeStatus {
            run_id: "abc".to_owned(),
            process: Some(NodeProcess { pid: 21, executable: "/bin/redis-server".to_owned() }),
            restarted: false,
            role: NodeRole::Primary,
            loading: false,
            offset: 42,
            link_silent_s: 0,
            replicas: 1,
            keys: 12,
            keeps_log: true,
        };
        let replica = NodeStatus {
            role: NodeRole::Replica {
                host: "10.0.0.2".to_owned(),
                port: 6379,
                link: NodeLink::Down { for_s: 12 },
            },
            loading: true,
            offset: 7,
            ..NodeStatus::default()
        };
        for (info, expected) in [(PRIMARY, primary), (REPLICA, replica), ("", NodeStatus::default())] {
            assert_eq!(NodeStatus::of_info(info), expected);
        }
    }

    #[test]
    fn links_are_told_apart() {
        for (lines, link) in [
            ("master_link_status:up", NodeLink::Up),
            ("master_link_status:up\r\nslave_repl_offset:0", NodeLink::Up),
            ("master_link_status:up\r\nslave_repl_offset:-1", NodeLink::Mute),
            (
                "master_link_status:down\r\nslave_repl_offset:-1\r\nmaster_sync_in_progress:1",
                NodeLink::Syncing,
            ),
            ("master_link_status:down\r\nmaster_sync_in_progress:1", NodeLink::Syncing),
            ("master_link_status:down\r\nmaster_link_down_since_seconds:-1", NodeLink::Syncing),
            ("master_link_status:down\r\nmaster_link_down_since_seconds:3", NodeLink::Down { for_s: 3 }),
            (
                "master_link_status:down\r\nmaster_sync_in_progress:1\r\nmaster_link_down_since_seconds:3",
                NodeLink::Syncing,
            ),
        ] {
            let status =
                NodeStatus::of_info(&format!("role:slave\r\nmaster_host:h\r\nmaster_port:1\r\n{lines}\r\n"));
            assert_eq!(status.role, NodeRole::Replica { host: "h".to_owned(), port: 1, link }, "{lines}");
        }
    }
}
