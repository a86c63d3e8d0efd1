//! CLIENT LIST: the sessions of all workers are collected once for everybody who asked before the collection began.
//! One collection is under way at a time, however many ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy_core::command::CommandTable;
use proxy_core::local::client::{self, ClientFilter, ClientLine, ClientType, SessionUse};
use resp::Protocol;

use super::super::process;
use super::super::reply_to::ReplyTo;
use super::super::workers::WorkersLine;
use crate::worker::SessionLine;

/// Questions answered from one collection; more wait for the next one.
const ANSWERED_TOGETHER_MAX: usize = 64;
/// What CLIENT LIST shows where the last command is not kept.
const COMMAND_UNKNOWN: &str = "NULL";

/// Who asked for which sessions.
#[derive(Debug)]
pub(super) struct ListAsk {
    pub(super) filter: ClientFilter,
    pub(super) protocol: Protocol,
    /// For the names of commands.
    pub(super) table: Arc<CommandTable>,
    pub(super) to: ReplyTo,
}

/// Who waits, and whether a collection is under way.
#[derive(Debug, Default)]
struct Waiting {
    asks: Vec<ListAsk>,
    is_under_way: bool,
}

/// All questions for sessions.
#[derive(Debug, Clone, Default)]
pub(super) struct Listings(Arc<Mutex<Waiting>>);

impl Listings {
    /// Has a question answered by the next collection. To be called inside the runtime.
    pub(super) fn ask(&self, ask: ListAsk, line: &WorkersLine) {
        let mut waiting = self.lock();
        waiting.asks.push(ask);
        if !std::mem::replace(&mut waiting.is_under_way, true) {
            let (listings, line) = (self.clone(), line.clone());
            tokio::spawn(async move {
                while let Some(asks) = listings.next() {
                    answer(asks, &line).await;
                }
            });
        }
    }

    /// Whom the next collection is for; `None` ends the collecting.
    fn next(&self) -> Option<Vec<ListAsk>> {
        let mut waiting = self.lock();
        let together = waiting.asks.len().min(ANSWERED_TOGETHER_MAX);
        waiting.is_under_way = together > 0;
        waiting.is_under_way.then(|| waiting.asks.drain(..together).collect())
    }

    /// Every change is one step, so that what a panic leaves behind is whole.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(mut asks: Vec<ListAsk>, line: &WorkersLine) {
    let mut sessions = line.sessions().await;
    sessions.sort_unstable_by_key(|session| session.profile.id);
    let now_ms = process::unix_us() / 1000;
    while let Some(first) = asks.first() {
        let reply = render(first, &sessions, now_ms).into();
        let (filter, protocol) = (first.filter.clone(), first.protocol);
        let same = |ask: &mut ListAsk| ask.filter == filter && ask.protocol == protocol;
        for ask in asks.extract_if(.., same) {
            ask.to.send_shared(&reply);
        }
        // Other questions are not behind all of these.
        tokio::task::yield_now().await;
    }
}

fn render(ask: &ListAsk, sessions: &[SessionLine], now_ms: u64) -> Vec<u8> {
    let mut lines = Vec::new();
    for session in
        sessions.iter().filter(|session| ask.filter.matches(&session.profile, ClientType::Normal, now_ms))
    {
        let session_use = SessionUse {
            fd: session.fd,
            query_bytes: session.input_bytes,
            output_bytes: session.output_bytes,
            ..SessionUse::default()
        };
        let command = session.command.and_then(|command| ask.table.get(command));
        let command = command.map_or(COMMAND_UNKNOWN, |command| &command.name);
        client::client_line(
            &mut lines,
            &ClientLine { profile: &session.profile, session_use, command, now_ms },
        );
    }
    let mut reply = Vec::new();
    client::list_reply(&lines, ask.protocol, &mut reply);
    reply
}
