//! What to do next, for each code with which something is refused. One table, so that it can be read as a whole.

/// What a person can do about a code; `None` where the message says it all.
pub(super) fn of(code: &str) -> Option<&'static str> {
    TABLE.iter().find(|(known, _)| *known == code).map(|(_, advice)| *advice)
}

const TABLE: &[(&str, &str)] = &[
    (
        "UNREACHABLE",
        "name the brokers with --broker or UNDERMOON_BROKER; is one running there? A certificate that this machine \
         does not know is given with --ca",
    ),
    ("OUTCOME_UNKNOWN", "before you try again, see with `undermoon ctl events` whether the change was made"),
    ("EXTERNAL_TIMEOUT", "before you try again, see with `undermoon ctl events` whether the change was made"),
    ("BAD_ANSWER", "is that address a broker, of this version, and http or https as it should be?"),
    ("UNAUTHORIZED", "give the broker's token in UNDERMOON_TOKEN, or a file that has it with --token-file"),
    ("FORBIDDEN", "this token may only read: use the broker's `write_token`"),
    ("STOOD_STILL", "the broker has just gone on after a pause: try again in a moment"),
    ("BUSY", "the broker has as many requests as it takes at a time: try again in a moment"),
    (
        "EXTERNAL",
        "the broker cannot use its store; its log says why. Nothing was changed: try again when it can",
    ),
    (
        "CHANGED",
        "look again with `undermoon ctl cluster show`, and repeat it if you still want it: somebody else, or a failover, has \
         changed the cluster",
    ),
    ("RETRY", "something changed at the same moment: try again"),
    ("CLUSTER_NOT_FOUND", "`undermoon ctl cluster list` shows the clusters"),
    ("SHARD_NOT_FOUND", "`undermoon ctl cluster show` shows the shards with their numbers"),
    ("MIGRATION_TASK_NOT_FOUND", "no slots of the cluster are to move"),
    ("PROXY_NOT_FOUND", "`undermoon ctl pool list` shows the proxies"),
    ("ALREADY_EXISTED", "`undermoon ctl cluster list` shows the clusters; choose another name"),
    ("IN_USE", "the proxy serves a cluster: have it replaced first with `undermoon ctl pool replace`"),
    (
        "HAS_PRIMARIES",
        "`undermoon ctl pool replace` hands them over first; where one has come back meanwhile, call it again",
    ),
    (
        "NOT_REPLACEABLE",
        "`undermoon ctl cluster show` and `undermoon ctl health` show how its cluster is: repair that first",
    ),
    (
        "NO_AVAILABLE_RESOURCE",
        "add proxies with `undermoon ctl pool add`; `pool list --free` shows what is free",
    ),
    (
        "RESOURCE_NOT_BALANCE",
        "add proxies on other hosts with `undermoon ctl pool add`: the halves of a chunk are on two hosts",
    ),
    ("INVALID_NODE_NUMBER", "a chunk has 4 nodes: say --chunks, or --nodes with a multiple of 4"),
    (
        "SLOTS_ALREADY_EVEN",
        "there is nothing to do; `undermoon ctl cluster show` shows which shard has which slots",
    ),
    ("FREE_NODE_NOT_FOUND", "every chunk has slots: there is nothing to give back"),
    (
        "FREE_NODE_FOUND",
        "give back the chunks without slots first: `undermoon ctl cluster scale NAME --release`",
    ),
    (
        "MIGRATION_RUNNING",
        "wait until the slots have moved (`undermoon ctl cluster show NAME --watch`), or call it off with \
         `undermoon ctl cluster scale NAME --cancel`",
    ),
    (
        "NODE_NUMBER_CHANGING",
        "wait until the new nodes are ready (`undermoon ctl cluster show NAME --watch`), or call it off with \
         `undermoon ctl cluster scale NAME --cancel`",
    ),
    (
        "REGISTERED_OTHERWISE",
        "if its nodes or its host have changed, forget it first with `undermoon ctl pool remove`, which takes a proxy that no \
         cluster uses",
    ),
    ("INVALID_CONFIG", "`undermoon ctl cluster config NAME` shows the settings that there are"),
    ("INVALID_META_VERSION", "this is not a dump of this version of Undermoon, or it was changed by hand"),
    (
        "EPOCH_SMALLER_THAN_CURRENT",
        "the store is newer than the dump. To go back on purpose, restore into a broker with an empty store",
    ),
    (
        "PROXY_NOT_SYNC",
        "wait until `undermoon ctl cluster show` has the replica in sync; --force promotes it as it is and loses \
         what it lacks",
    ),
    ("UNDER_REVIEW", "see what differs with `undermoon ctl review`, then decide with its options"),
    ("NOT_ADOPTABLE", "`undermoon ctl review` shows why: repair that, or decide `--by metadata`"),
    ("NOT_UNDER_REVIEW", "there is nothing to decide; `undermoon ctl review` shows what is under review"),
    ("MISSING_SERVER_PROXY_INDEX", "this broker orders its proxies: give --index"),
];

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn each_code_once_and_no_full_stop() {
        for (place, (code, advice)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..place].iter().any(|(other, _)| other == code), "{code} is there twice");
            assert!(!advice.ends_with('.'), "{code}: it is put into a sentence");
        }
    }
}
