//! Why a command is refused: the texts that tell a client what is refused and what to do instead.

/// Why a command is not for clients of a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Subscriptions and publishing.
    PubSub,
    /// MULTI and its family.
    Transaction,
    /// Waits until there is something to answer.
    Blocking,
    /// A stream of all commands.
    Monitor,
    /// Client-side caching and reply suppression: state of one connection.
    ConnectionState,
    /// Replication between nodes.
    Replication,
    /// Slots and membership, which the control plane owns.
    ClusterAdmin,
    /// The node's own administration.
    NodeAdmin,
    /// Moves keys away without the control plane's knowledge.
    KeyTransfer,
    /// Swaps whole databases.
    SwapDb,
    /// An index over keys of all shards.
    Index,
    /// A backend knows it, but nothing says that it is safe on a shared connection.
    Unproven,
}

impl Reason {
    /// What follows "ERR NAME is not supported by this proxy".
    pub const fn advice(self) -> &'static str {
        match self {
            Reason::PubSub => {
                " yet: publish/subscribe needs a connection of its own; connect to the Redis node itself"
            }
            Reason::Transaction => {
                " yet: transactions need a connection of their own; use a Lua script or a single multi-key command"
            }
            Reason::Blocking => {
                " yet: it would hold a connection that others share; use the form that does not block, and poll"
            }
            Reason::Monitor => {
                ": it would hold a connection that others share; connect to the Redis node itself"
            }
            Reason::ConnectionState => {
                ": it changes the state of a connection that others share; go without it"
            }
            Reason::Replication => ": replication is set by the control plane; use UMCTL SETREPL",
            Reason::ClusterAdmin => ": slots and members are set by the control plane; use UMCTL SETCLUSTER",
            Reason::NodeAdmin => ": it administers one Redis node; connect to that node itself",
            Reason::KeyTransfer => {
                ": slots are moved by the control plane; to copy keys use DUMP and RESTORE"
            }
            Reason::SwapDb => ": it would change the database under every other client; use SELECT",
            Reason::Index => {
                ": it reads keys of every shard and no shard can answer alone; query each Redis node itself"
            }
            Reason::Unproven => {
                ": the backend does not say where its keys are, or it may change a connection that others share"
            }
        }
    }

    /// The error's text, without the leading `-`; `name` is the command's name as the table has it.
    pub fn text(self, name: &str) -> String {
        let shown = name.to_ascii_uppercase().replace('|', " ");
        format!("ERR {shown} is not supported by this proxy{}", self.advice())
    }
}
