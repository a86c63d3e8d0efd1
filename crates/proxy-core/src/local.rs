//! What the proxy answers by itself: one file for each family of commands.
//!
//! Pure: time is in the [`Context`], and what one worker cannot do alone is handed back as a
//! [`ControlRequest`], its arguments already checked. Arity and subcommands were checked by the command table.

mod auth;
pub mod client;
mod cluster;
pub mod config;
mod connection;
mod help;
mod server;
mod slowlog;
mod timeout;
mod umctl;
mod wait;

use model::{Role, Slot};

pub use self::auth::needs_auth;
pub use self::wait::{WaitGoal, WaitRequest};
use crate::cluster_replies::FaceReplies;
use crate::command::{Args, CommandCommand, LocalCommand};
use crate::errors;
use crate::profile::Profile;
use crate::settings::Settings;
use crate::slowlog::SlowlogRequest;

/// What an answer may depend on besides the session.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The proxy's settings, now.
    pub settings: &'a Settings,
    /// The cluster as the face of the session sees it; none without one.
    pub cluster: Option<&'a FaceReplies>,
    /// The version of the nodes, which clients take for that of the proxy.
    pub server_version: &'a str,
    /// What the session uses, for CLIENT INFO.
    pub session_use: client::SessionUse,
    /// Unix time in µs.
    pub now_us: u64,
}

/// What is to happen after an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing: the reply is written.
    Done,
    /// The reply is written; close the session when it is sent.
    Close,
    /// The reply is written; the session's database is another one.
    SelectChanged,
    /// The reply is written; the session is as if just accepted: what it held must be let go.
    SessionReset,
    /// No reply yet: the thread that sees all workers must answer.
    Control(Box<ControlRequest>),
    /// No reply yet: COMMAND, which the command table answers of itself.
    Command(CommandCommand),
    /// No reply yet: UMCTL, which the control thread understands itself.
    Umctl,
    /// No reply yet: UMFORWARD wraps a command that the engine must route.
    Forwarded,
    /// No reply yet: the number of keys in a slot, which only the nodes know.
    CountKeysInSlot(Slot),
    /// No reply yet: at most `count` keys of a slot, which only the nodes know.
    KeysInSlot {
        /// The slot.
        slot: Slot,
        /// The most keys to return.
        count: u64,
    },
}

/// A request that concerns all workers, its arguments understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRequest {
    /// CLIENT LIST: answer with [`client::list_reply`].
    ClientList(client::ClientFilter),
    /// CLIENT KILL: answer with [`client::ClientKill::reply`].
    ClientKill(client::ClientKill),
    /// CLIENT PAUSE: answer `OK`.
    ClientPause {
        /// After how long it ends by itself, ms.
        for_ms: u64,
        /// Which commands wait.
        mode: client::PauseMode,
    },
    /// CLIENT UNPAUSE: answer `OK`.
    ClientUnpause,
    /// CLIENT UNBLOCK: answer the integer 1 if the client was blocked, else 0.
    ClientUnblock {
        /// The client.
        id: u64,
        /// Whether it gets an error instead of its timeout's reply.
        with_error: bool,
    },
    /// CONFIG SET: answer with [`config::apply`].
    ConfigSet(Vec<config::Assignment>),
    /// CONFIG RESETSTAT: answer `OK`.
    ConfigResetStat,
    /// SLOWLOG: answer with [`crate::slowlog::SlowLog::answer`].
    Slowlog(SlowlogRequest),
    /// INFO with the sections asked for, in lower case: answer with [`crate::info::reply`].
    Info(Vec<String>),
    /// WAIT and WAITAOF: answer what was reached on the primary that reached least.
    Wait(WaitRequest),
}

/// Answers one command, or says who must.
pub fn answer(
    command: LocalCommand,
    args: Args<'_>,
    profile: &mut Profile,
    context: &Context<'_>,
    out: &mut Vec<u8>,
) -> After {
    use LocalCommand as Local;
    let needs_auth = needs_auth(profile, context.settings);
    if needs_auth && !auth::allowed_before(command) && !umctl::is_login(args) {
        errors::write(out, errors::NOAUTH);
        return After::Done;
    }
    match command {
        Local::Ping => connection::ping(args, out),
        Local::Echo => connection::echo(args, out),
        Local::Quit => connection::quit(out),
        Local::Reset => connection::reset(profile, context, out),
        Local::Select => connection::select(args, profile, context, out),
        Local::Readonly => connection::readonly(true, profile, out),
        Local::Readwrite => connection::readonly(false, profile, out),
        Local::Asking => connection::asking(out),
        Local::Auth => auth::auth(args, profile, context, out),
        Local::Hello => auth::hello(args, profile, context, out),
        Local::Time => server::time(context, out),
        Local::Lolwut => server::lolwut(profile, context, out),
        Local::Role => server::role(context, out),
        Local::Info => server::info(args),
        Local::Wait | Local::Waitaof if is_replica(context) => {
            errors::write(out, errors::WAIT_AT_REPLICA);
            After::Done
        }
        Local::Wait => wait::wait(args, context.now_us, out),
        Local::Waitaof => wait::wait_aof(args, context.now_us, out),
        Local::Client(sub) => client::answer(sub, args, profile, context, out),
        Local::Config(sub) => config::answer(sub, args, profile, context, out),
        Local::Cluster(sub) => cluster::answer(sub, args, profile, context, out),
        Local::Slowlog(sub) => slowlog::answer(sub, args, out),
        Local::Command(sub) => After::Command(sub),
        Local::Umctl => umctl::answer(args, profile, context, out),
        Local::Umforward => After::Forwarded,
    }
}

/// Whether the face of the session is a replica.
fn is_replica(context: &Context<'_>) -> bool {
    context.cluster.is_some_and(|cluster| cluster.role() == Role::Replica)
}

#[cfg(test)]
mod tests;
