//! Sessions as real clients are: each a connection that sends its pipelines whole, reads in its own way, and connects
//! again when it was closed.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::record::{Entry, Outcome, SessionId};
use super::script::{Reading, SessionScript, Step};
use crate::chaos::client::was_not_executed;
use crate::chaos::workload::Clock;
use crate::connection::{Connection, ConnectionError};
use crate::frame::Frame;

/// A reply that takes longer is a hang: no disturbance lasts nearly as long.
const HANG: Duration = Duration::from_secs(20);

/// Plays a session to its end.
///
/// # Errors
/// When a reply does not come, or is an error that does not say whether the request was executed.
pub fn play(id: SessionId, address: SocketAddr, script: &SessionScript, clock: Clock) -> Result<Vec<Entry>> {
    let mut open: Option<Connection> = None;
    let mut entries = Vec::new();
    for step in &script.steps {
        thread::sleep(step.pause);
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => connect(address, script.database)?,
        };
        let call = clock.now();
        let outcomes = exchange(&mut connection, step, clock)?;
        let closed = outcomes.len() < step.requests.len();
        let lost = || Outcome::Unknown("the connection was closed".to_owned());
        let outcomes = outcomes.into_iter().chain(std::iter::repeat_with(lost));
        for (request, outcome) in step.requests.iter().zip(outcomes) {
            entries.push(Entry { session: id, request: request.clone(), call, outcome });
        }
        open = (!closed).then_some(connection);
    }
    Ok(entries)
}

fn connect(address: SocketAddr, database: usize) -> Result<Connection> {
    let mut connection = Connection::open(address)?;
    connection.set_reply_limit(HANG)?;
    if database != 0 {
        connection.say(&format!("SELECT {database}"))?.expect_ok()?;
    }
    Ok(connection)
}

/// Sends a step and reads its replies: fewer than there are requests when the connection was closed.
fn exchange(connection: &mut Connection, step: &Step, clock: Clock) -> Result<Vec<Outcome>> {
    let mut bytes = Vec::new();
    for request in &step.requests {
        let args: Vec<&[u8]> = request.args.iter().map(Vec::as_slice).collect();
        resp::encode::request(&mut bytes, &args);
    }
    let mut writer = connection.writer()?;
    thread::scope(|scope| {
        // A write that fails shows as replies that do not come.
        scope.spawn(move || drop(writer.write_all(&bytes)));
        let outcomes = read(connection, step, clock);
        if outcomes.as_ref().map_or(true, |outcomes| outcomes.len() < step.requests.len()) {
            // It may be closed already, and the writer must not wait any longer.
            let _ = connection.stream().shutdown(Shutdown::Both);
        }
        outcomes
    })
}

fn read(connection: &mut Connection, step: &Step, clock: Clock) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(step.requests.len());
    if let Reading::Late(rest) = step.reading {
        thread::sleep(rest);
    }
    for request in &step.requests {
        if let Reading::Slow(rest) = step.reading {
            thread::sleep(rest);
        }
        match connection.read() {
            Ok(reply) => outcomes.push(outcome(reply, clock).with_context(|| format!("{request:?}"))?),
            Err(ConnectionError::Closed { .. } | ConnectionError::Socket(_)) => break,
            Err(error) => return Err(error).with_context(|| format!("the reply to {request:?}")),
        }
    }
    Ok(outcomes)
}

fn outcome(reply: Frame, clock: Clock) -> Result<Outcome> {
    let Some(text) = reply.error() else { return Ok(Outcome::Answered(reply, clock.now())) };
    if was_not_executed(&text) {
        Ok(Outcome::Refused(text))
    } else if text.ends_with("the command may or may not have been executed") {
        Ok(Outcome::Unknown(text))
    } else {
        bail!("an error that says nothing of the request: {text}")
    }
}
