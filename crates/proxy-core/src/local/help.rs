//! The texts of CLIENT, CLUSTER, CONFIG and SLOWLOG HELP: only what this proxy does.

use resp::encode;

/// A container command and its forms: how each is written, and what it does.
pub(super) type Help = (&'static str, &'static [(&'static str, &'static str)]);

/// Appends the help as Redis forms it: an array of lines, the explanations indented.
pub(super) fn write(out: &mut Vec<u8>, (container, forms): Help) {
    encode::array(out, 1 + 2 * forms.len() + 2);
    encode::simple(out, &format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for (form, meaning) in forms {
        encode::simple(out, form);
        encode::simple(out, &format!("    {meaning}"));
    }
    encode::simple(out, "HELP");
    encode::simple(out, "    Prints this help.");
}

pub(super) const CLIENT: Help = (
    "CLIENT",
    &[
        ("GETNAME", "The name of this connection."),
        ("GETREDIR", "Where tracking invalidations go: always -1, there is no tracking here."),
        ("ID", "The number of this connection."),
        ("INFO", "What CLIENT LIST says of this connection."),
        ("KILL <ip:port>", "Close the connection that comes from that address."),
        (
            "KILL <option> <value> [<option> <value> ...]",
            "Close all that match: ID, ADDR, LADDR, TYPE, USER, MAXAGE <s>, SKIPME (yes|no).",
        ),
        ("LIST [TYPE (normal|pubsub)] [ID <id> ...]", "The connections to this proxy, one a line."),
        ("NO-EVICT (ON|OFF)", "Accepted and shown in CLIENT LIST."),
        ("NO-TOUCH (ON|OFF)", "Accepted and shown in CLIENT LIST."),
        ("PAUSE <milliseconds> [WRITE|ALL]", "Hold back commands of all connections."),
        ("SETINFO (LIB-NAME|LIB-VER) <value>", "Say which library this client uses."),
        ("SETNAME <name>", "Name this connection; an empty name removes it."),
        ("TRACKINGINFO", "The state of tracking: always off."),
        ("UNBLOCK <id> [TIMEOUT|ERROR]", "Wake a connection that waits in a blocking command."),
        ("UNPAUSE", "End a pause."),
    ],
);

pub(super) const CONFIG: Help = (
    "CONFIG",
    &[
        ("GET <pattern> [<pattern> ...]", "The settings of this proxy whose names match."),
        ("SET <name> <value> [<name> <value> ...]", "Change settings of this proxy: all of them or none."),
        ("RESETSTAT", "Count from zero in INFO."),
    ],
);

pub(super) const SLOWLOG: Help = (
    "SLOWLOG",
    &[
        (
            "GET [<count>]",
            "The newest slow requests (default 10, -1 for all): id, time, µs, args, client, name.",
        ),
        ("LEN", "How many are kept."),
        ("RESET", "Forget all."),
    ],
);

pub(super) const CLUSTER: Help = (
    "CLUSTER",
    &[
        ("COUNT-FAILURE-REPORTS <node-id>", "Always 0: the coordinator keeps the reports."),
        ("COUNTKEYSINSLOT <slot>", "How many keys this proxy's nodes have in the slot."),
        ("GETKEYSINSLOT <slot> <count>", "Keys that this proxy's nodes have in the slot."),
        ("INFO", "The state of the cluster as this proxy sees it."),
        ("KEYSLOT <key>", "The slot of the key."),
        ("LINKS", "Always empty: proxies have no cluster bus."),
        ("MYID", "The id of this proxy."),
        ("MYSHARDID", "The id of this proxy's shard."),
        ("NODES", "All proxies of the cluster, one a line."),
        ("REPLICAS <node-id>", "The replicas of a proxy's slots."),
        ("SHARDS", "Slots and the proxies that serve them, shard by shard."),
        ("SLOTS", "Slots and the proxies that serve them, range by range."),
    ],
);
