//! The class of every command: the one place where it is written what a command means to routing.
//!
//! Every command of the snapshot is in exactly one row (a test says so). What a live backend reports
//! never changes a row.

use super::class::{
    Class, ClientCommand, ClusterCommand, CommandCommand, ConfigCommand, LocalCommand, Merge, SlowlogCommand,
};
use super::refusal::Reason;

/// Rows of a class and the commands that have it, separated by white space.
pub(in crate::command) const TABLE: &[(Class, &str)] = &[
    (
        Class::Container,
        "acl client cluster commandlog config function latency memory module object pubsub script slowlog xgroup xinfo",
    ),
    // Strings, counters and bits.
    (
        Class::Forward,
        "append bitcount bitfield bitfield_ro bitop bitpos decr decrby delifeq get getbit getdel getex getrange
         getset incr incrby incrbyfloat lcs mget mset msetex msetnx psetex set setbit setex setnx setrange strlen
         substr",
    ),
    // Keys of any type.
    (
        Class::Forward,
        "copy del dump exists expire expireat expiretime memory|usage move object|encoding object|freq
         object|idletime object|refcount persist pexpire pexpireat pexpiretime pttl rename renamenx restore sort
         sort_ro touch ttl type unlink",
    ),
    // Hashes.
    (
        Class::Forward,
        "hdel hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex hincrby hincrbyfloat hkeys hlen
         hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan hset hsetex hsetnx hstrlen
         httl hvals",
    ),
    // Lists.
    (
        Class::Forward,
        "lindex linsert llen lmove lmpop lpop lpos lpush lpushx lrange lrem lset ltrim rpop rpoplpush rpush rpushx",
    ),
    // Sets.
    (
        Class::Forward,
        "sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember smove spop
         srandmember srem sscan sunion sunionstore",
    ),
    // Sorted sets and what is stored as such.
    (
        Class::Forward,
        "zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop zmscore zpopmax
         zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank
         zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion zunionstore
         geoadd geodist geohash geopos georadius georadius_ro georadiusbymember georadiusbymember_ro geosearch
         geosearchstore",
    ),
    // Streams; XREAD and XREADGROUP with BLOCK are refused by their arguments.
    (
        Class::Forward,
        "xack xackdel xadd xautoclaim xclaim xdel xdelex xgroup|create xgroup|createconsumer xgroup|delconsumer
         xgroup|destroy xgroup|setid xinfo|consumers xinfo|groups xinfo|stream xlen xpending xrange xread
         xreadgroup xrevrange xsetid xtrim",
    ),
    // HyperLogLog, vector sets, scripts.
    (
        Class::Forward,
        "pfadd pfcount pfmerge
         vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrem vsetattr vsim
         eval eval_ro evalsha evalsha_ro fcall fcall_ro",
    ),
    // Modules, those with keys.
    (
        Class::Forward,
        "bf.add bf.card bf.exists bf.info bf.insert bf.loadchunk bf.madd bf.mexists bf.reserve bf.scandump
         cf.add cf.addnx cf.compact cf.count cf.del cf.exists cf.info cf.insert cf.insertnx cf.loadchunk cf.mexists
         cf.reserve cf.scandump
         cms.incrby cms.info cms.initbydim cms.initbyprob cms.merge cms.query
         topk.add topk.count topk.incrby topk.info topk.list topk.query topk.reserve
         tdigest.add tdigest.byrank tdigest.byrevrank tdigest.cdf tdigest.create tdigest.info tdigest.max
         tdigest.merge tdigest.min tdigest.quantile tdigest.rank tdigest.reset tdigest.revrank tdigest.trimmed_mean
         json.arrappend json.arrindex json.arrinsert json.arrlen json.arrpop json.arrtrim json.clear json.debug
         json.del json.forget json.get json.merge json.mget json.mset json.numincrby json.nummultby json.numpowby
         json.objkeys json.objlen json.resp json.set json.strappend json.strlen json.toggle json.type
         ts.add ts.alter ts.create ts.createrule ts.decrby ts.del ts.deleterule ts.get ts.incrby ts.info ts.madd
         ts.range ts.revrange",
    ),
    (
        Class::ForwardAny,
        "function|dump function|help function|list function|stats latency|help memory|help module|help module|list
         object|help pubsub|help script|help script|show xgroup|help xinfo|help",
    ),
    // What this proxy's own primaries answer together.
    (Class::FanOut(Merge::Sum), "dbsize latency|reset"),
    (Class::FanOut(Merge::Min), "lastsave"),
    (Class::FanOut(Merge::MinEach), "script|exists"),
    (Class::FanOut(Merge::Concat), "keys"),
    (Class::FanOut(Merge::Scan), "scan"),
    (Class::FanOut(Merge::AnyNonNull), "randomkey"),
    (
        Class::FanOut(Merge::AllOk),
        "bgrewriteaof bgsave flushall flushdb function|delete function|flush function|load function|restore
         memory|purge script|flush script|load",
    ),
    (Class::FanOut(Merge::OneOk), "function|kill script|kill"),
    (Class::FanOut(Merge::Text), "latency|doctor latency|graph memory|doctor memory|malloc-stats"),
    (Class::FanOut(Merge::SumFields), "latency|histogram memory|stats"),
    (Class::FanOut(Merge::LatestEvents), "latency|latest"),
    (Class::FanOut(Merge::ByTime), "latency|history"),
    // What the proxy answers by itself.
    (Class::Local(LocalCommand::Ping), "ping"),
    (Class::Local(LocalCommand::Echo), "echo"),
    (Class::Local(LocalCommand::Auth), "auth"),
    (Class::Local(LocalCommand::Hello), "hello"),
    (Class::Local(LocalCommand::Quit), "quit"),
    (Class::Local(LocalCommand::Reset), "reset"),
    (Class::Local(LocalCommand::Select), "select"),
    (Class::Local(LocalCommand::Time), "time"),
    (Class::Local(LocalCommand::Lolwut), "lolwut"),
    (Class::Local(LocalCommand::Role), "role"),
    (Class::Local(LocalCommand::Info), "info"),
    (Class::Local(LocalCommand::Wait), "wait"),
    (Class::Local(LocalCommand::Waitaof), "waitaof"),
    (Class::Local(LocalCommand::Readonly), "readonly"),
    (Class::Local(LocalCommand::Readwrite), "readwrite"),
    (Class::Local(LocalCommand::Asking), "asking"),
    (Class::Local(LocalCommand::Umctl), "umctl"),
    (Class::Local(LocalCommand::Umforward), "umforward"),
    (Class::Local(LocalCommand::Client(ClientCommand::Capa)), "client|capa"),
    (Class::Local(LocalCommand::Client(ClientCommand::Getname)), "client|getname"),
    (Class::Local(LocalCommand::Client(ClientCommand::Getredir)), "client|getredir"),
    (Class::Local(LocalCommand::Client(ClientCommand::Help)), "client|help"),
    (Class::Local(LocalCommand::Client(ClientCommand::Id)), "client|id"),
    (Class::Local(LocalCommand::Client(ClientCommand::Info)), "client|info"),
    (Class::Local(LocalCommand::Client(ClientCommand::Kill)), "client|kill"),
    (Class::Local(LocalCommand::Client(ClientCommand::List)), "client|list"),
    (Class::Local(LocalCommand::Client(ClientCommand::NoEvict)), "client|no-evict"),
    (Class::Local(LocalCommand::Client(ClientCommand::NoTouch)), "client|no-touch"),
    (Class::Local(LocalCommand::Client(ClientCommand::Pause)), "client|pause"),
    (Class::Local(LocalCommand::Client(ClientCommand::Setinfo)), "client|setinfo"),
    (Class::Local(LocalCommand::Client(ClientCommand::Setname)), "client|setname"),
    (Class::Local(LocalCommand::Client(ClientCommand::Trackinginfo)), "client|trackinginfo"),
    (Class::Local(LocalCommand::Client(ClientCommand::Unblock)), "client|unblock"),
    (Class::Local(LocalCommand::Client(ClientCommand::Unpause)), "client|unpause"),
    (Class::Local(LocalCommand::Command(CommandCommand::All)), "command"),
    (Class::Local(LocalCommand::Command(CommandCommand::Count)), "command|count"),
    (Class::Local(LocalCommand::Command(CommandCommand::Docs)), "command|docs"),
    (Class::Local(LocalCommand::Command(CommandCommand::Getkeys)), "command|getkeys"),
    (Class::Local(LocalCommand::Command(CommandCommand::Getkeysandflags)), "command|getkeysandflags"),
    (Class::Local(LocalCommand::Command(CommandCommand::Help)), "command|help"),
    (Class::Local(LocalCommand::Command(CommandCommand::Info)), "command|info"),
    (Class::Local(LocalCommand::Command(CommandCommand::List)), "command|list"),
    (Class::Local(LocalCommand::Config(ConfigCommand::Get)), "config|get"),
    (Class::Local(LocalCommand::Config(ConfigCommand::Help)), "config|help"),
    (Class::Local(LocalCommand::Config(ConfigCommand::Resetstat)), "config|resetstat"),
    (Class::Local(LocalCommand::Config(ConfigCommand::Set)), "config|set"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::CountFailureReports)), "cluster|count-failure-reports"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Countkeysinslot)), "cluster|countkeysinslot"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Getkeysinslot)), "cluster|getkeysinslot"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Help)), "cluster|help"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Info)), "cluster|info"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Keyslot)), "cluster|keyslot"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Links)), "cluster|links"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Myid)), "cluster|myid"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Myshardid)), "cluster|myshardid"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Nodes)), "cluster|nodes"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Replicas)), "cluster|replicas"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Shards)), "cluster|shards"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Slaves)), "cluster|slaves"),
    (Class::Local(LocalCommand::Cluster(ClusterCommand::Slots)), "cluster|slots"),
    (Class::Local(LocalCommand::Slowlog(SlowlogCommand::Get)), "slowlog|get"),
    (Class::Local(LocalCommand::Slowlog(SlowlogCommand::Help)), "slowlog|help"),
    (Class::Local(LocalCommand::Slowlog(SlowlogCommand::Len)), "slowlog|len"),
    (Class::Local(LocalCommand::Slowlog(SlowlogCommand::Reset)), "slowlog|reset"),
    // What never leaves the proxy.
    (
        Class::Refuse(Reason::PubSub),
        "psubscribe publish pubsub|channels pubsub|numpat pubsub|numsub pubsub|shardchannels pubsub|shardnumsub
         punsubscribe spublish ssubscribe subscribe sunsubscribe unsubscribe",
    ),
    (Class::Refuse(Reason::Transaction), "discard exec multi unwatch watch"),
    (
        Class::Refuse(Reason::Blocking),
        "blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin",
    ),
    (Class::Refuse(Reason::Monitor), "monitor"),
    (
        Class::Refuse(Reason::ConnectionState),
        "client|caching client|import-source client|reply client|tracking script|debug",
    ),
    (Class::Refuse(Reason::Replication), "failover psync replconf replicaof slaveof sync"),
    (
        Class::Refuse(Reason::ClusterAdmin),
        "clusterscan cluster|addslots cluster|addslotsrange cluster|bumpepoch cluster|cancelslotmigrations
         cluster|delslots cluster|delslotsrange cluster|failover cluster|flushslot cluster|flushslots cluster|forget
         cluster|getslotmigrations cluster|meet cluster|migrateslots cluster|replicate cluster|reset
         cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|slot-stats cluster|syncslots",
    ),
    (
        Class::Refuse(Reason::NodeAdmin),
        "acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list acl|load acl|log acl|save
         acl|setuser acl|users acl|whoami commandlog|get commandlog|help commandlog|len commandlog|reset
         config|rewrite debug module|load module|loadex module|unload pfdebug pfselftest save shutdown",
    ),
    (Class::Refuse(Reason::KeyTransfer), "migrate restore-asking"),
    (Class::Refuse(Reason::SwapDb), "swapdb"),
    (
        Class::Refuse(Reason::Index),
        "ft._list ft.aggregate ft.aliasadd ft.aliasdel ft.aliasupdate ft.alter ft.config ft.create ft.cursor
         ft.dictadd ft.dictdel ft.dictdump ft.dropindex ft.explain ft.explaincli ft.hybrid ft.info ft.profile
         ft.search ft.spellcheck ft.sugadd ft.sugdel ft.sugget ft.suglen ft.syndump ft.synupdate ft.tagvals
         ts.mget ts.mrange ts.mrevrange ts.queryindex",
    ),
];
