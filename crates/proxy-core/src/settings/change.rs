//! What a change of a setting concerns.

/// What a successful CONFIG SET touched; the owner of the thing acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `requirepass`: holds for the next AUTH; who is authenticated stays so.
    Password,
    /// `maxclients`.
    MaxClients,
    /// `timeout`.
    SessionTimeout,
    /// `backend-timeout`.
    BackendTimeout,
    /// `proto-max-bulk-len` or `memory-max`.
    Limits,
    /// Length, threshold or sampling of the slow log.
    SlowLog,
    /// What is answered for a slot of another proxy.
    Redirection,
    /// The form of CLUSTER NODES: cluster replies have to be encoded again.
    ClusterNodesVersion,
    /// `loglevel`.
    LogLevel,
}
