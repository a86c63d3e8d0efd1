//! What the sessions of one round asked and were told: the material that [`order`](super::order) judges.

use std::fmt;

use crate::frame::Frame;
use crate::history::Moment;

/// Which session of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub usize);

/// Which key of a round: an index of [`Record::keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub usize);

/// A list that the sessions share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The database that it is in.
    pub database: usize,
    /// Its name, with a hash tag.
    pub name: String,
    /// Which part of the slots it is in; keys of one part and database lie on one node, and a session's requests for
    /// them keep their order even within a pipeline.
    pub part: usize,
}

/// What a request does, as far as an order of all requests is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Adds this item at the end of the list. No other request of the round adds the same. The reply is the length.
    Push(KeyId, String),
    /// Asks for all items.
    Items(KeyId),
    /// Asks for the length.
    Length(KeyId),
    /// Says nothing about an order. The reply must be these bytes where there are any; else any reply will do.
    Aside(Option<Vec<u8>>),
}

impl Asked {
    /// The list that it is about.
    #[must_use]
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Push(key, _) | Self::Items(key) | Self::Length(key) => Some(*key),
            Self::Aside(_) => None,
        }
    }
}

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its words.
    pub args: Vec<Vec<u8>>,
    /// What it does.
    pub asked: Asked,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed; the reply, and when the session had read it.
    Answered(Frame, Moment),
    /// It was not executed and never will be; with the reason.
    Refused(String),
    /// It may have been executed once, or never; with the reason.
    Unknown(String),
}

/// One request of one session.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who asked.
    pub session: SessionId,
    /// What.
    pub request: Request,
    /// Before the first byte of its pipeline was sent.
    pub call: Moment,
    /// What came of it.
    pub outcome: Outcome,
}

impl Entry {
    /// When the session had the reply.
    #[must_use]
    pub fn end(&self) -> Option<Moment> {
        match self.outcome {
            Outcome::Answered(_, end) => Some(end),
            Outcome::Refused(_) | Outcome::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How much of a word is shown.
        const SHOWN_BYTES: usize = 40;
        write!(formatter, "session {} from {}:", self.session.0, self.call)?;
        for word in &self.request.args {
            let shown = &word[..word.len().min(SHOWN_BYTES)];
            write!(formatter, " {}", shown.escape_ascii())?;
        }
        match &self.outcome {
            Outcome::Answered(reply, end) => write!(formatter, " → {reply:?} at {end}"),
            Outcome::Refused(why) => write!(formatter, " → refused: {why}"),
            Outcome::Unknown(why) => write!(formatter, " → unknown: {why}"),
        }
    }
}

/// Everything that was seen of one round.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The lists.
    pub keys: Vec<Key>,
    /// All requests; those of one session in the order in which it sent them.
    pub entries: Vec<Entry>,
    /// The items of each list, in the order of `keys`, after all sessions had ended.
    pub finals: Vec<Vec<Vec<u8>>>,
}
