//! What a command means to routing: the vocabulary of the class table.

use super::refusal::Reason;

/// What the proxy does with a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Sent to the owner of its keys' slot. When it turns out to have no key (`EVAL script 0`) any primary may answer.
    Forward,
    /// It has no key; any primary may answer, and all would answer alike.
    ForwardAny,
    /// Answered by the proxy.
    Local(LocalCommand),
    /// Sent to each of this proxy's own primaries; the replies are merged into one.
    FanOut(Merge),
    /// Never sent anywhere; the client is told why.
    Refuse(Reason),
    /// A name that only means something with a subcommand; `resolve` never yields it.
    Container,
}

/// How the replies of several primaries become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// The smallest integer.
    Min,
    /// Arrays of integers of one length: the smallest at each place.
    MinEach,
    /// Arrays become one array.
    Concat,
    /// A `SCAN` step: one primary at a time, see [`crate::merge::scan_reply`].
    Scan,
    /// The first reply that is not null.
    AnyNonNull,
    /// All must succeed and then say the same; the first speaks for all.
    AllOk,
    /// One success is enough (`SCRIPT KILL`: the script runs on one of them).
    OneOk,
    /// Texts follow each other, one paragraph a primary.
    Text,
    /// Maps of numbers: added field by field, at any depth; ratios are averaged.
    SumFields,
    /// `LATENCY LATEST`: for each event, the latest time and the largest maximum.
    LatestEvents,
    /// `LATENCY HISTORY`: arrays of `[time, value]`, ordered by time.
    ByTime,
}

/// A command that the proxy answers without a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalCommand {
    /// `PING [message]`
    Ping,
    /// `ECHO message`
    Echo,
    /// `AUTH [user] password`
    Auth,
    /// `HELLO [version …]`
    Hello,
    /// `QUIT`
    Quit,
    /// `RESET`
    Reset,
    /// `SELECT db`
    Select,
    /// `TIME`
    Time,
    /// `LOLWUT`
    Lolwut,
    /// `ROLE`
    Role,
    /// `INFO [section…]`
    Info,
    /// `WAIT numreplicas timeout`
    Wait,
    /// `WAITAOF numlocal numreplicas timeout`
    Waitaof,
    /// `READONLY`
    Readonly,
    /// `READWRITE`
    Readwrite,
    /// `ASKING`
    Asking,
    /// `CLIENT …`
    Client(ClientCommand),
    /// `COMMAND …`
    Command(CommandCommand),
    /// `CONFIG …`
    Config(ConfigCommand),
    /// `CLUSTER …`
    Cluster(ClusterCommand),
    /// `SLOWLOG …`, the proxy's own.
    Slowlog(SlowlogCommand),
    /// `UMCTL …`
    Umctl,
    /// `UMFORWARD hops command…`
    Umforward,
}

/// Subcommands of CLIENT that the proxy answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the Redis subcommand of that name")]
pub enum ClientCommand {
    Capa,
    Getname,
    Getredir,
    Help,
    Id,
    Info,
    Kill,
    List,
    NoEvict,
    NoTouch,
    Pause,
    Setinfo,
    Setname,
    Trackinginfo,
    Unblock,
    Unpause,
}

/// COMMAND and its subcommands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the Redis subcommand of that name")]
pub enum CommandCommand {
    /// `COMMAND` without arguments.
    All,
    Count,
    Docs,
    Getkeys,
    Getkeysandflags,
    Help,
    Info,
    List,
}

/// Subcommands of CONFIG that the proxy answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the Redis subcommand of that name")]
pub enum ConfigCommand {
    Get,
    Help,
    Resetstat,
    Set,
}

/// Subcommands of CLUSTER that the proxy answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the Redis subcommand of that name")]
pub enum ClusterCommand {
    CountFailureReports,
    Countkeysinslot,
    Getkeysinslot,
    Help,
    Info,
    Keyslot,
    Links,
    Myid,
    Myshardid,
    Nodes,
    Replicas,
    Shards,
    Slaves,
    Slots,
}

/// Subcommands of SLOWLOG.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is the Redis subcommand of that name")]
pub enum SlowlogCommand {
    Get,
    Help,
    Len,
    Reset,
}
