//! What the proxy answers by itself: one file for each family of commands.
//!
//! Pure: time is in the [`Context`], and what one worker cannot do alone is handed back as a
//! [`ControlRequest`], its arguments already checked. Arity and subcommands were checked by the command table.

mod after;
mod auth;
pub mod client;
mod cluster;
pub mod config;
mod connection;
mod context;
mod control_request;
mod help;
mod server;
mod slowlog;
mod timeout;
mod umctl;
mod wait;

use model::Role;

pub use self::after::After;
pub use self::auth::needs_auth;
pub use self::context::Context;
pub use self::control_request::{Assignment, ControlRequest, WaitGoal, WaitRequest, Written};
pub use self::umctl::operators_part as umctl_operators_part;
use crate::command::{Args, LocalCommand};
use crate::errors;
use crate::profile::Profile;

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
