//! INFO: the proxy described in Redis's sections and fields, which clients and tools parse.
//!
//! Pure text from what is passed in. Fields that only make sense for a server that stores data are left out,
//! unless clients read them; those say what is true of a proxy (`loading:0`, `maxmemory:0`).

mod context;
mod keyspace;
mod saves;
mod sections;
mod statistics;

use resp::{Protocol, encode};

pub use self::context::{InfoContext, Nodes, Process};
pub use self::keyspace::merge as merge_keyspace;
pub use self::saves::NodeSaves;

/// A section: its name in requests, its title, whether it is shown by default, and its lines.
type Section = (&'static str, &'static str, bool, fn(&InfoContext<'_>) -> String);

/// In Redis's order, ours last.
const SECTIONS: &[Section] = &[
    ("server", "Server", true, sections::server),
    ("clients", "Clients", true, sections::clients),
    ("memory", "Memory", true, sections::memory),
    ("persistence", "Persistence", true, sections::persistence),
    ("stats", "Stats", true, sections::stats),
    ("replication", "Replication", true, sections::replication),
    ("cpu", "CPU", true, sections::cpu),
    ("modules", "Modules", true, sections::modules),
    ("commandstats", "Commandstats", false, statistics::commands),
    ("errorstats", "Errorstats", true, statistics::errors),
    ("latencystats", "Latencystats", false, statistics::latencies),
    ("cluster", "Cluster", true, sections::cluster),
    ("keyspace", "Keyspace", true, sections::keyspace),
    ("undermoon", "Undermoon", true, sections::undermoon),
    ("backends", "Backends", false, statistics::backends),
];

/// Appends the reply to INFO with these sections, in lower case; no section means the default ones.
pub fn reply(context: &InfoContext<'_>, wanted: &[String], protocol: Protocol, out: &mut Vec<u8>) {
    encode::verbatim(out, protocol, "txt", text(context, wanted).as_bytes());
}

/// Whether these sections, in lower case, are or hold the one that tells of keys.
pub fn asks_for_keys(wanted: &[String]) -> bool {
    asks_for(wanted, "keyspace", true)
}

fn asks_for(wanted: &[String], name: &str, by_default: bool) -> bool {
    let asks = |words: &[&str]| wanted.iter().any(|word| words.contains(&word.as_str()));
    let default = wanted.is_empty() || asks(&["default"]);
    asks(&["all", "everything", name]) || (default && by_default)
}

/// The text of these sections. A name that is no section adds nothing, as in Redis.
pub fn text(context: &InfoContext<'_>, wanted: &[String]) -> String {
    let mut text = String::new();
    for (name, title, by_default, lines) in SECTIONS {
        if !asks_for(wanted, name, *by_default) {
            continue;
        }
        if !text.is_empty() {
            text += "\r\n";
        }
        text += &format!("# {title}\r\n");
        text += &lines(context);
    }
    text
}

#[cfg(test)]
mod tests;
