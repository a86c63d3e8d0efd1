//! The commands that the oracle plays, one line each. A word in `<…>` is a hole that the generator fills; all
//! other words are sent as they are. With several key holes in a line, all its keys share one hash tag.
//!
//! The servers are started with [`SETTINGS`], which make hashes keep their order. Deliberately absent, because two servers of the same kind would answer differently:
//! - what draws random numbers (RANDOMKEY, SPOP, SRANDMEMBER and the like, but with a count of 0, which tests
//!   their way through the proxy all the same), and stream ids made from the clock (`XADD key *`);
//! - what tells times, ids or sizes of the server itself (TIME, INFO, CLIENT ID, MEMORY, LATENCY, XINFO CONSUMERS);
//! - relative times to live together with the options that compare them (EXPIRE … GT), and writing a key with a
//!   time that is already past (SET … EXAT 1), which DBSIZE counts until Redis happens to look at it.
//!
//! Also absent is what a cluster refuses or answers differently by design (SORT … BY, CLUSTER, CONFIG, COMMAND),
//! and what changes the state of a connection to Redis (MULTI, SUBSCRIBE, blocking commands): those have tests of
//! their own.

use super::compare::Comparison::{self, Exact, Greeting, Unordered, Within};

/// Settings of every server that takes part: a hash of any size stays a list of its fields in order of insertion,
/// so that HGETALL is determined. Sets have such a form only from Redis 7.2 on.
pub const SETTINGS: &[(&str, &str)] =
    &[("hash-max-listpack-entries", "1000000"), ("hash-max-listpack-value", "67108864")];

/// A set of commands that work on the same type of key.
#[derive(Debug)]
pub struct Family {
    /// Its keys begin with this.
    pub name: &'static str,
    /// How often it is chosen, relative to the others.
    pub weight: u32,
    /// Whether its commands see more than the keys they name, and so disturb sessions that run at the same time.
    pub global: bool,
    /// How the replies are compared where a line says nothing else.
    pub lines: &'static [Line],
}

/// One command with holes.
#[derive(Debug)]
pub struct Line {
    /// The words.
    pub words: &'static str,
    /// How its replies are compared.
    pub comparison: Comparison,
}

const fn exact(words: &'static str) -> Line {
    Line { words, comparison: Exact }
}

const fn unordered(words: &'static str) -> Line {
    Line { words, comparison: Unordered }
}

/// Seconds (or milliseconds, times 1000) that two servers may differ in a time to live.
const CLOCK_SKEW: i64 = 120_000;

const fn clock(words: &'static str) -> Line {
    Line { words, comparison: Within(CLOCK_SKEW) }
}

/// Every family.
pub const FAMILIES: &[Family] = &[
    Family { name: "string", weight: 6, global: false, lines: STRINGS },
    Family { name: "bits", weight: 1, global: false, lines: BITS },
    Family { name: "list", weight: 3, global: false, lines: LISTS },
    Family { name: "hash", weight: 3, global: false, lines: HASHES },
    Family { name: "set", weight: 3, global: false, lines: SETS },
    Family { name: "zset", weight: 3, global: false, lines: SORTED_SETS },
    Family { name: "geo", weight: 1, global: false, lines: GEO },
    Family { name: "stream", weight: 2, global: false, lines: STREAMS },
    Family { name: "loglog", weight: 1, global: false, lines: LOG_LOGS },
    Family { name: "script", weight: 1, global: false, lines: SCRIPTS },
    Family { name: "any", weight: 4, global: false, lines: KEYS },
    Family { name: "session", weight: 2, global: false, lines: SESSION },
    Family { name: "server", weight: 1, global: true, lines: SERVER },
];

const STRINGS: &[Line] = &[
    exact("GET <key>"),
    exact("GET <key>"),
    exact("SET <key> <value>"),
    exact("SET <key> <value>"),
    exact("SET <key> <int>"),
    exact("SET <key> <value> EX 1000000"),
    exact("SET <key> <value> PX 1000000000 GET"),
    exact("SET <key> <value> EXAT <time>"),
    exact("SET <key> <value> NX"),
    exact("SET <key> <value> XX GET"),
    exact("SET <key> <value> KEEPTTL"),
    exact("SET <key> <value> EX <int>x"),
    exact("SETEX <key> 1000000 <value>"),
    exact("PSETEX <key> 1000000000 <value>"),
    exact("SETNX <key> <value>"),
    exact("GETSET <key> <value>"),
    exact("GETDEL <key>"),
    exact("GETEX <key> EXAT <time>"),
    exact("GETEX <key> PERSIST"),
    exact("APPEND <key> <value>"),
    exact("STRLEN <key>"),
    exact("GETRANGE <key> <index> <index>"),
    exact("SUBSTR <key> <index> <index>"),
    exact("SETRANGE <key> <offset> <value>"),
    exact("INCR <key>"),
    exact("DECR <key>"),
    exact("INCRBY <key> <int>"),
    exact("DECRBY <key> <int>"),
    exact("INCRBYFLOAT <key> <float>"),
    exact("MGET <keys>"),
    exact("MSET <keyvalues>"),
    exact("MSETNX <keyvalues>"),
    exact("LCS <key> <key> LEN"),
    exact("LCS <key> <key> IDX MINMATCHLEN 2 WITHMATCHLEN"),
];

const BITS: &[Line] = &[
    exact("SETBIT <key> <offset> <bit>"),
    exact("GETBIT <key> <offset>"),
    exact("BITCOUNT <key>"),
    exact("BITCOUNT <key> <index> <index> BIT"),
    exact("BITPOS <key> <bit> <index>"),
    exact("BITOP AND <key> <keys>"),
    exact("BITOP XOR <key> <keys>"),
    exact("BITOP NOT <key> <key>"),
    exact("BITFIELD <key> SET u8 <offset> <int> GET i5 3"),
    exact("BITFIELD <key> OVERFLOW SAT INCRBY i7 #2 <int>"),
    exact("BITFIELD_RO <key> GET u16 <offset>"),
];

const LISTS: &[Line] = &[
    exact("LPUSH <key> <values>"),
    exact("RPUSH <key> <values>"),
    exact("LPUSHX <key> <values>"),
    exact("RPUSHX <key> <values>"),
    exact("LPOP <key>"),
    exact("RPOP <key> <count>"),
    exact("LLEN <key>"),
    exact("LRANGE <key> 0 -1"),
    exact("LRANGE <key> <index> <index>"),
    exact("LINDEX <key> <index>"),
    exact("LSET <key> <index> <member>"),
    exact("LINSERT <key> BEFORE <member> <member>"),
    exact("LREM <key> <index> <member>"),
    exact("LTRIM <key> <index> <index>"),
    exact("LPOS <key> <member> RANK -1 COUNT 0"),
    exact("LMOVE <key> <key> LEFT RIGHT"),
    exact("RPOPLPUSH <key> <key>"),
    exact("LMPOP <numkeys> LEFT COUNT <count>"),
    exact("SORT <key> ALPHA"),
    exact("SORT <key> LIMIT 0 3 DESC"),
    exact("SORT <key> ALPHA STORE <key>"),
    exact("SORT_RO <key> ALPHA DESC"),
];

const HASHES: &[Line] = &[
    exact("HSET <key> <fieldvalues>"),
    exact("HSET <key> <fieldvalues>"),
    exact("HMSET <key> <fieldvalues>"),
    exact("HSETNX <key> <member> <value>"),
    exact("HGET <key> <member>"),
    exact("HMGET <key> <members>"),
    exact("HGETALL <key>"),
    exact("HKEYS <key>"),
    exact("HVALS <key>"),
    exact("HLEN <key>"),
    exact("HSTRLEN <key> <member>"),
    exact("HEXISTS <key> <member>"),
    exact("HDEL <key> <members>"),
    exact("HINCRBY <key> <member> <int>"),
    exact("HINCRBYFLOAT <key> <member> <float>"),
    exact("HRANDFIELD <key> 0"),
    unordered("HSCAN <key> 0 COUNT 100000"),
    // Redis 7.4 and Valkey 9; older ones answer that they do not know them.
    exact("HPEXPIREAT <key> 4102444800000 FIELDS 1 <member>"),
    exact("HPERSIST <key> FIELDS 1 <member>"),
    exact("HEXPIRETIME <key> FIELDS 2 <member> <member>"),
    exact("HGETDEL <key> FIELDS 1 <member>"),
    exact("HSETEX <key> EXAT 4102444800 FIELDS 1 <member> <value>"),
];

const SETS: &[Line] = &[
    exact("SADD <key> <members>"),
    exact("SADD <key> <int>"),
    exact("SREM <key> <members>"),
    exact("SCARD <key>"),
    exact("SISMEMBER <key> <member>"),
    exact("SMISMEMBER <key> <members>"),
    unordered("SMEMBERS <key>"),
    exact("SMOVE <key> <key> <member>"),
    unordered("SINTER <keys>"),
    unordered("SUNION <keys>"),
    unordered("SDIFF <keys>"),
    exact("SINTERSTORE <key> <keys>"),
    exact("SUNIONSTORE <key> <keys>"),
    exact("SDIFFSTORE <key> <keys>"),
    exact("SINTERCARD <numkeys> LIMIT <count>"),
    exact("SRANDMEMBER <key> 0"),
    exact("SPOP <key> 0"),
    unordered("SSCAN <key> 0 COUNT 100000"),
    exact("SORT <key> ALPHA"),
];

const SORTED_SETS: &[Line] = &[
    exact("ZADD <key> <scoremembers>"),
    exact("ZADD <key> <scoremembers>"),
    exact("ZADD <key> NX CH <scoremembers>"),
    exact("ZADD <key> GT CH <score> <member>"),
    exact("ZADD <key> INCR <float> <member>"),
    exact("ZREM <key> <members>"),
    exact("ZCARD <key>"),
    exact("ZSCORE <key> <member>"),
    exact("ZMSCORE <key> <members>"),
    exact("ZINCRBY <key> <float> <member>"),
    exact("ZRANK <key> <member>"),
    exact("ZREVRANK <key> <member>"),
    exact("ZRANGE <key> 0 -1 WITHSCORES"),
    exact("ZRANGE <key> <index> <index> REV"),
    exact("ZRANGE <key> -inf (3 BYSCORE LIMIT 0 2"),
    exact("ZRANGEBYSCORE <key> <score> +inf WITHSCORES"),
    exact("ZREVRANGEBYSCORE <key> +inf <score>"),
    exact("ZRANGEBYLEX <key> - +"),
    exact("ZLEXCOUNT <key> - [m"),
    exact("ZREVRANGE <key> 0 3"),
    exact("ZPOPMIN <key>"),
    exact("ZPOPMAX <key> <count>"),
    exact("ZMPOP <numkeys> MIN COUNT <count>"),
    exact("ZREMRANGEBYRANK <key> <index> <index>"),
    exact("ZREMRANGEBYSCORE <key> (1 <score>"),
    exact("ZREMRANGEBYLEX <key> [a (f"),
    exact("ZRANGESTORE <key> <key> 0 -1"),
    exact("ZUNIONSTORE <key> <numkeys>"),
    exact("ZINTERSTORE <key> <numkeys> AGGREGATE MAX"),
    exact("ZDIFFSTORE <key> <numkeys>"),
    exact("ZUNION <numkeys> WITHSCORES"),
    exact("ZINTER <numkeys>"),
    exact("ZDIFF <numkeys> WITHSCORES"),
    exact("ZINTERCARD <numkeys> LIMIT <count>"),
    exact("ZRANDMEMBER <key> 0"),
    unordered("ZSCAN <key> 0 COUNT 100000"),
];

const GEO: &[Line] = &[
    exact("GEOADD <key> <longitude> <latitude> <member>"),
    exact("GEOADD <key> XX CH <longitude> <latitude> <member>"),
    exact("GEOPOS <key> <members>"),
    exact("GEODIST <key> <member> <member> km"),
    exact("GEOHASH <key> <members>"),
    exact("GEOSEARCH <key> FROMLONLAT <longitude> <latitude> BYRADIUS 9000 km ASC WITHCOORD WITHDIST"),
    exact("GEOSEARCH <key> FROMMEMBER <member> BYBOX 8000 8000 km DESC COUNT 3"),
    exact("GEOSEARCHSTORE <key> <key> FROMLONLAT <longitude> <latitude> BYRADIUS 9000 km"),
    exact("GEORADIUS <key> <longitude> <latitude> 9000 km ASC"),
    exact("GEORADIUS <key> <longitude> <latitude> 9000 km STORE <key>"),
    exact("GEORADIUSBYMEMBER_RO <key> <member> 9000 km WITHHASH ASC"),
];

const STREAMS: &[Line] = &[
    exact("XADD <key> <id> <fieldvalues>"),
    exact("XADD <key> <id> <fieldvalues>"),
    exact("XADD <key> NOMKSTREAM MAXLEN = 5 <id> <fieldvalues>"),
    exact("XLEN <key>"),
    exact("XRANGE <key> - +"),
    exact("XRANGE <key> <id> + COUNT <count>"),
    exact("XREVRANGE <key> + -"),
    exact("XDEL <key> <id>"),
    exact("XTRIM <key> MINID <id>"),
    exact("XSETID <key> 9999-9"),
    exact("XREAD COUNT <count> STREAMS <key> 0"),
    exact("XREAD STREAMS <key> <key> 0 <id>"),
    exact("XGROUP CREATE <key> <group> 0 MKSTREAM"),
    exact("XGROUP CREATECONSUMER <key> <group> c1"),
    exact("XGROUP DELCONSUMER <key> <group> c1"),
    exact("XGROUP SETID <key> <group> 0"),
    exact("XGROUP DESTROY <key> <group>"),
    exact("XREADGROUP GROUP <group> c1 COUNT <count> STREAMS <key> >"),
    exact("XREADGROUP GROUP <group> c2 STREAMS <key> 0"),
    exact("XACK <key> <group> <id>"),
    exact("XPENDING <key> <group>"),
    exact("XCLAIM <key> <group> c2 0 <id> JUSTID"),
    exact("XAUTOCLAIM <key> <group> c2 0 0 COUNT 3 JUSTID"),
    exact("XINFO STREAM <key>"),
    exact("XINFO GROUPS <key>"),
];

const LOG_LOGS: &[Line] =
    &[exact("PFADD <key> <members>"), exact("PFCOUNT <keys>"), exact("PFMERGE <key> <keys>")];

const SCRIPTS: &[Line] = &[
    exact("EVAL <script> <numkeys> <member>"),
    exact("EVAL <script> 1 <key> <value>"),
    exact("EVAL <script> 0"),
    exact("EVAL_RO <script> 1 <key>"),
    exact("EVALSHA_RO 0000000000000000000000000000000000000000 1 <key>"),
    exact("FCALL no_such_function 1 <key>"),
];

const KEYS: &[Line] = &[
    exact("DEL <key>"),
    exact("DEL <keys>"),
    exact("UNLINK <keys>"),
    exact("EXISTS <keys>"),
    exact("TOUCH <keys>"),
    exact("TYPE <key>"),
    exact("OBJECT ENCODING <key>"),
    exact("OBJECT FREQ <key>"),
    clock("TTL <key>"),
    clock("PTTL <key>"),
    clock("EXPIRETIME <key>"),
    clock("PEXPIRETIME <key>"),
    exact("EXPIRE <key> 1000000"),
    exact("EXPIRE <key> -1"),
    exact("EXPIREAT <key> <time> NX"),
    exact("EXPIREAT <key> 1 LT"),
    exact("PEXPIREAT <key> 4102444800000 XX"),
    exact("PERSIST <key>"),
    exact("RENAME <key> <key>"),
    exact("RENAMENX <key> <key>"),
    exact("COPY <key> <key>"),
    exact("COPY <key> <key> REPLACE"),
    exact("COPY <key> <key> DB <db>"),
    exact("MOVE <key> <db>"),
    exact("DUMP no-such-key"),
    exact("RESTORE <key> 0 <dump>"),
    exact("RESTORE <key> 0 <dump> REPLACE"),
    exact("RESTORE <key> 0 <value> REPLACE"),
];

const SESSION: &[Line] = &[
    exact("PING"),
    exact("PING <value>"),
    exact("ECHO <value>"),
    exact("SELECT <db>"),
    exact("SELECT <db>"),
    exact("SELECT 99"),
    exact("SELECT junk"),
    exact("CLIENT SETNAME <name>"),
    exact("CLIENT GETNAME"),
    exact("CLIENT NOSUCH <int>"),
    exact("CLIENT"),
    exact("AUTH <value>"),
    exact("AUTH nobody <value>"),
    exact("RESET"),
    Line { words: "HELLO 2", comparison: Greeting },
    Line { words: "HELLO 3", comparison: Greeting },
    Line { words: "HELLO", comparison: Greeting },
    Line { words: "HELLO 3 SETNAME <name>", comparison: Greeting },
    Line { words: "HELLO 4", comparison: Greeting },
    Line { words: "HELLO x", comparison: Greeting },
    Line { words: "HELLO 2 AUTH nobody wrong", comparison: Greeting },
];

const SERVER: &[Line] = &[
    exact("DBSIZE"),
    exact("DBSIZE"),
    unordered("KEYS *"),
    unordered("KEYS *string*"),
    unordered("KEYS {t1}*"),
    unordered("SCAN 0 COUNT 1000000"),
    unordered("SCAN 0 MATCH *list* COUNT 1000000"),
    unordered("SCAN 0 TYPE hash COUNT 1000000"),
    exact("SCAN junk"),
    exact("FLUSHDB"),
    exact("FLUSHALL ASYNC"),
    exact("FLUSHALL junk"),
    exact("SCRIPT LOAD <script>"),
    exact("SCRIPT EXISTS <sha> 0000000000000000000000000000000000000000"),
    exact("SCRIPT FLUSH"),
    exact("EVALSHA <sha> 1 <key> x"),
    exact("FUNCTION LOAD REPLACE <library>"),
    exact("FUNCTION DELETE lib"),
    unordered("FUNCTION LIST"),
    exact("FCALL set_it 1 <key> <member>"),
    exact("FCALL_RO read_it 1 <key>"),
    exact("WAIT 0 10"),
    exact("OBJECT HELP"),
    exact("XINFO HELP"),
];

/// Scripts for the `<script>` hole.
pub const LUA: &[&str] = &[
    "return redis.call('GET', KEYS[1])",
    "return redis.call('SET', KEYS[1], ARGV[1] or 'x')",
    "return {1, 2.9, 'three', false, true, {KEYS[1], ARGV[1]}}",
    "return redis.error_reply('MY own error')",
    "redis.setresp(3) return redis.call('ZSCORE', KEYS[1], 'a')",
    "return redis.pcall('LPUSH', KEYS[1], 'x')",
    "this is no lua",
    "return tostring(#KEYS) .. tostring(#ARGV)",
];

/// A script and its SHA-1, for EVALSHA; it is in [`LUA`] too.
pub const SHA: (&str, &str) = (LUA[0], "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f");

/// A library for the `<library>` hole.
pub const LIBRARY: &str = "#!lua name=lib\n\
redis.register_function('set_it', function(keys, args) return redis.call('SET', keys[1], args[1]) end)\n\
redis.register_function{function_name='read_it', \
callback=function(keys) return redis.call('STRLEN', keys[1]) end, flags={'no-writes'}}";

/// DUMP payloads of Redis 7.0, which newer servers read too: the string `hello` and the list `1 a bb`.
pub const DUMPS: &[&[u8]] = &[
    b"\x00\x05hello\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a",
    b"\x12\x01\x02\x10\x10\x00\x00\x00\x03\x00\x01\x01\x81a\x02\x82bb\x03\xff\x0a\x00\x3e\x32\x8e\x0c\x31\x53\x57\x26",
];
