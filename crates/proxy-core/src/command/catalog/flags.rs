//! What a server says of a command as a whole, and of a key argument.

use super::bits::bitset;

bitset! {
    /// The flags of a command, as `COMMAND` lists them.
    Flags(u32) {
        /// May change the data.
        WRITE = "write",
        /// Never changes the data.
        READONLY = "readonly",
        /// Refused when the server is out of memory.
        DENYOOM = "denyoom",
        /// Comes from a module.
        MODULE = "module",
        /// For administrators.
        ADMIN = "admin",
        /// Belongs to publish/subscribe.
        PUBSUB = "pubsub",
        /// Not allowed in scripts; often a sign that it keeps state on the connection.
        NOSCRIPT = "noscript",
        /// May hold the connection until something happens.
        BLOCKING = "blocking",
        /// Allowed while the server loads its data.
        LOADING = "loading",
        /// Allowed on a replica with stale data.
        STALE = "stale",
        /// Not shown to MONITOR.
        SKIP_MONITOR = "skip_monitor",
        /// Not written to the slow log (Redis's word).
        SKIP_SLOWLOG = "skip_slowlog",
        /// Not written to the command log (Valkey's word).
        SKIP_COMMANDLOG = "skip_commandlog",
        /// Implies ASKING.
        ASKING = "asking",
        /// Takes constant or logarithmic time.
        FAST = "fast",
        /// Allowed before AUTH.
        NO_AUTH = "no_auth",
        /// May write to replicas though it is no write.
        MAY_REPLICATE = "may_replicate",
        /// Its number of keys may be zero.
        NO_MANDATORY_KEYS = "no_mandatory_keys",
        /// Not allowed while the server loads its data from a primary.
        NO_ASYNC_LOADING = "no_async_loading",
        /// Not allowed in a transaction.
        NO_MULTI = "no_multi",
        /// Its keys cannot be told from first, last and step alone.
        MOVABLEKEYS = "movablekeys",
        /// Allowed while a script runs too long.
        ALLOW_BUSY = "allow_busy",
    }
}

bitset! {
    /// The flags of a key specification, as `COMMAND` lists them.
    KeyFlags(u16) {
        /// Read only.
        RO = "RO",
        /// Read and written.
        RW = "RW",
        /// Overwritten without being read.
        OW = "OW",
        /// Removed.
        RM = "RM",
        /// The value is returned, copied or moved.
        ACCESS = "access",
        /// The value is changed by what the client sent.
        UPDATE = "update",
        /// Something is added and nothing changed.
        INSERT = "insert",
        /// Content of the value is removed.
        DELETE = "delete",
        /// Routed as a key, though it names no key (a shard channel).
        NOT_KEY = "not_key",
        /// The specification does not find all keys.
        INCOMPLETE = "incomplete",
        /// The flags depend on the arguments.
        VARIABLE_FLAGS = "variable_flags",
    }
}
