//! Plays a script against two servers and compares the replies.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result};

use super::compare::{Comparison, same};
use super::script::{Request, Script, Step};
use crate::connection::{Connection, ConnectionError};
use crate::frame::Frame;

/// Pipelines up to this size are sent before replies are read; larger ones while they are read, since neither side
/// need take in more than its socket buffers hold.
const SEND_FIRST_BYTES_MAX: usize = 16 * 1024;
/// The rest between two writes of one pipeline, so that they arrive apart.
const CUT_PAUSE: Duration = Duration::from_micros(300);
/// How long a reply may take; later is a hang. Nothing that is played takes a server more than an instant.
const REPLY_LIMIT: Duration = Duration::from_secs(6);
/// How a session ends that ends as it should.
const CLOSED: &str = "the server closed the connection";
/// The databases that scripts use.
const DATABASES: usize = 4;

/// The servers that take part.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Plain Redis, whose answers are right.
    pub reference: SocketAddr,
    /// What is tested.
    pub subject: SocketAddr,
    /// The Redis servers to empty before each script: the reference and those behind the subject.
    pub stores: Vec<SocketAddr>,
}

/// Where two servers differ.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The step's number, counting from 0, or the number of steps for the look at the end.
    pub step: usize,
    /// The request's number in its step.
    pub request: usize,
    /// The command's name in upper case.
    pub command: String,
    /// What was asked, what the reference said and what the subject said.
    pub what: String,
}

/// What one server answered to one step.
#[derive(Debug)]
struct Answer {
    frames: Vec<Frame>,
    /// Why no more came, where fewer replies came than requests went, or where the server had to close.
    end: Option<String>,
}

/// Plays the script on empty servers.
///
/// # Errors
/// When the servers cannot be emptied or the reference cannot be reached. A subject that fails is a mismatch.
pub fn play(targets: &Targets, script: &Script) -> Result<Option<Mismatch>> {
    for store in &targets.stores {
        empty(*store).with_context(|| format!("emptying {store}"))?;
    }
    let steps = || script.steps.iter().enumerate();
    let found = if script.concurrent {
        let first: Mutex<Option<Result<Mismatch>>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for session in 0..script.sessions() {
                let own = steps().filter(move |(_, step)| step.session == session);
                let first = &first;
                scope.spawn(move || {
                    if let Some(found) = play_in_order(targets, own).transpose() {
                        first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(found);
                    }
                });
            }
        });
        first.into_inner().unwrap_or_else(PoisonError::into_inner).transpose()?
    } else {
        play_in_order(targets, steps())?
    };
    match found {
        Some(mismatch) => Ok(Some(mismatch)),
        None => play_in_order(targets, std::iter::once((script.steps.len(), &final_look(script)))),
    }
}

fn play_in_order<'a>(
    targets: &Targets,
    steps: impl Iterator<Item = (usize, &'a Step)>,
) -> Result<Option<Mismatch>> {
    let mut references: Vec<Option<Connection>> = Vec::new();
    let mut subjects: Vec<Option<Connection>> = Vec::new();
    for (number, step) in steps {
        let reference = answer(targets.reference, &mut references, step);
        // A reference that fails is no reference; nor is one that does not close where it should.
        if reference.end.as_deref() != step.closes.then_some(CLOSED) {
            let asked =
                step.requests.get(reference.frames.len()).map_or_else(String::new, Request::to_string);
            anyhow::bail!("the reference failed in step {number}: {asked}: {:?}", reference.end);
        }
        let subject = answer(targets.subject, &mut subjects, step);
        if let Some((request, what)) = difference(step, &reference, &subject) {
            let name = step.requests.get(request).and_then(|request| request.args.first());
            let command = name.map_or_else(String::new, |name| String::from_utf8_lossy(name).to_uppercase());
            return Ok(Some(Mismatch { step: number, request, command, what }));
        }
    }
    Ok(None)
}

/// Sends a step on its session's connection, opening it where needed, and collects the replies.
fn answer(address: SocketAddr, sessions: &mut Vec<Option<Connection>>, step: &Step) -> Answer {
    if sessions.len() <= step.session {
        sessions.resize_with(step.session + 1, || None);
    }
    let place = &mut sessions[step.session];
    if place.is_none() {
        let opened = Connection::open(address)
            .and_then(|mut connection| connection.set_reply_limit(REPLY_LIMIT).map(|()| connection));
        match opened {
            Ok(connection) => *place = Some(connection),
            Err(error) => return Answer { frames: Vec::new(), end: Some(error.to_string()) },
        }
    }
    let Some(connection) = place else { unreachable!("opened above") };
    let answer = exchange(connection, step);
    if answer.end.is_some() {
        *place = None;
    }
    answer
}

fn exchange(connection: &mut Connection, step: &Step) -> Answer {
    let pieces = step.pieces();
    let size: usize = pieces.iter().map(Vec::len).sum();
    if size <= SEND_FIRST_BYTES_MAX {
        return match send(connection, &pieces) {
            Ok(()) => collect(connection, step),
            Err(error) => Answer { frames: Vec::new(), end: Some(error.to_string()) },
        };
    }
    std::thread::scope(|scope| {
        let writer = connection.writer().map(|stream| {
            let pieces = &pieces;
            scope.spawn(move || write_pieces(stream, pieces))
        });
        let answer = collect(connection, step);
        // A write that failed shows as a reply that did not come.
        drop(writer);
        answer
    })
}

fn send(connection: &mut Connection, pieces: &[Vec<u8>]) -> Result<()> {
    write_pieces(connection.writer()?, pieces).context("sending")
}

fn write_pieces(mut stream: impl Write, pieces: &[Vec<u8>]) -> std::io::Result<()> {
    for (number, piece) in pieces.iter().enumerate() {
        if number > 0 {
            std::thread::sleep(CUT_PAUSE);
        }
        stream.write_all(piece)?;
    }
    Ok(())
}

fn collect(connection: &mut Connection, step: &Step) -> Answer {
    let mut frames = Vec::new();
    // Where the server must close, one read more than there are replies sees it do so.
    let reads = step.requests.len() + usize::from(step.closes);
    while frames.len() < reads {
        match connection.read() {
            Ok(frame) => frames.push(frame),
            Err(ConnectionError::Closed { partial: 0 }) => {
                return Answer { frames, end: Some(CLOSED.to_owned()) };
            }
            Err(error) => return Answer { frames, end: Some(error.to_string()) },
        }
    }
    Answer { frames, end: None }
}

/// The first request whose replies differ, with what to say of it.
fn difference(step: &Step, reference: &Answer, subject: &Answer) -> Option<(usize, String)> {
    let count = reference.frames.len().max(subject.frames.len());
    for number in 0..count {
        let request = step.requests.get(number);
        let comparison = request.map_or(Comparison::Exact, |request| request.comparison);
        let pair = (reference.frames.get(number), subject.frames.get(number));
        if let (Some(right), Some(got)) = pair
            && same(comparison, right, got)
        {
            continue;
        }
        let told = |frame: Option<&Frame>, end: &Option<String>| match (frame, end) {
            (Some(frame), _) => format!("{frame:?}"),
            (None, Some(end)) => format!("nothing: {end}"),
            (None, None) => "nothing".to_owned(),
        };
        let asked = request.map_or_else(|| "(after the last request)".to_owned(), Request::to_string);
        let right = told(pair.0, &reference.end);
        let got = told(pair.1, &subject.end);
        return Some((number, format!("{asked}\n    redis: {right}\n    proxy: {got}")));
    }
    (reference.end != subject.end).then(|| {
        let told = |end: &Option<String>| end.clone().unwrap_or_else(|| "goes on".to_owned());
        let (right, got) = (told(&reference.end), told(&subject.end));
        (count, format!("the end of the session\n    redis: {right}\n    proxy: {got}"))
    })
}

/// A look at what is stored after the last step, in a session of its own.
fn final_look(script: &Script) -> Step {
    let words = |line: &str| Request::new(line.split(' ').map(|word| word.as_bytes().to_vec()).collect());
    let mut requests = Vec::new();
    for database in 0..if script.one_database { 1 } else { DATABASES } {
        if !script.one_database {
            requests.push(words(&format!("SELECT {database}")));
        }
        requests.push(words("DBSIZE"));
        requests.push(Request { comparison: Comparison::Unordered, ..words("KEYS *") });
    }
    Step { session: 0, requests, cuts: Vec::new(), closes: false }
}

fn empty(address: SocketAddr) -> Result<()> {
    let mut connection = Connection::open(address)?;
    for line in ["FLUSHALL", "SCRIPT FLUSH", "FUNCTION FLUSH"] {
        connection.say(line)?.expect_ok()?;
    }
    Ok(())
}
