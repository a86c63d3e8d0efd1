//! What clients did to one key, and when: the material that [`linearizability`](crate::linearizability) and
//! [`losses`](crate::losses) judge.
//!
//! A key is either a register (read and written, every written value unique) or a counter (incremented and read).

use std::fmt;
use std::net::SocketAddr;

/// A value of a register or a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub i64);

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An instant of a run, in nanoseconds of one monotonic clock since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// Later than every instant of a run.
    pub const NEVER: Self = Self(u64::MAX);

    /// Milliseconds from `earlier` to this instant; zero when it is not the earlier one.
    #[must_use]
    pub fn milliseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return formatter.write_str("?");
        }
        write!(formatter, "{}.{:06} s", self.0 / 1_000_000_000, self.0 / 1_000 % 1_000_000)
    }
}

/// Which client of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// What was asked of the key, with what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// GET; what it found. Means nothing in an operation without an end.
    Read(Option<Value>),
    /// SET.
    Write(Value),
    /// INCR; the value that it answered. Means nothing in an operation without an end.
    Increment(Value),
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When the reply was there.
    pub at: Moment,
    /// The proxy or node that gave it, where the client knows.
    pub server: Option<SocketAddr>,
}

/// One operation of one client on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked.
    pub client: ClientId,
    /// Before the first byte was sent.
    pub call: Moment,
    /// `None` when no usable reply came: it may have happened at any later time, or never. An operation that
    /// certainly did not happen belongs in no history.
    pub end: Option<End>,
    /// What was asked and answered.
    pub action: Action,
}

impl Operation {
    /// When it ended; [`Moment::NEVER`] when the outcome is unknown.
    #[must_use]
    pub fn end_or_never(&self) -> Moment {
        self.end.map_or(Moment::NEVER, |end| end.at)
    }

    /// Whether it was answered.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.end.is_some()
    }

    /// The value that the key had right after it, as far as its reply tells.
    #[must_use]
    pub fn value_after(&self) -> Option<Value> {
        match self.action {
            Action::Read(seen) => seen,
            Action::Write(value) | Action::Increment(value) => Some(value),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (call, end) = (self.call, self.end_or_never());
        write!(formatter, "[{call} – {end}] client {} ", self.client.0)?;
        match self.action {
            Action::Read(Some(seen)) => write!(formatter, "read {seen}"),
            Action::Read(None) => write!(formatter, "read nothing"),
            Action::Write(value) => write!(formatter, "wrote {value}"),
            Action::Increment(value) if self.answered() => write!(formatter, "incremented to {value}"),
            Action::Increment(_) => write!(formatter, "incremented"),
        }?;
        match self.end.and_then(|end| end.server) {
            Some(server) => write!(formatter, " at {server}"),
            None => Ok(()),
        }
    }
}

/// The part of one key's history that begins at `from` and ends at `until`, to be judged by itself: what reaches
/// over either bound becomes an operation of unknown outcome. Judge it with
/// [`Initial::Any`](crate::linearizability::Initial::Any) unless it begins at the run's beginning.
#[must_use]
pub fn segment(operations: &[Operation], from: Moment, until: Moment) -> Vec<Operation> {
    let cut = |operation: &Operation| {
        let end = operation.end_or_never();
        if operation.call >= until || end < from {
            return None;
        }
        let inside = operation.call >= from && end < until;
        Some(Operation { end: operation.end.filter(|_| inside), ..*operation })
    };
    operations.iter().filter_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_keeps_what_may_act_in_it() {
        let operation = |call: u64, end: Option<u64>| Operation {
            client: ClientId(0),
            call: Moment(call),
            end: end.map(|at| End { at: Moment(at), server: None }),
            action: Action::Write(Value(1)),
        };
        let cases = [
            ((0, Some(9)), None),
            ((0, Some(10)), Some(None)),
            ((0, None), Some(None)),
            ((10, Some(11)), Some(Some(11))),
            ((15, Some(20)), Some(None)),
            ((20, Some(21)), None),
        ];
        for ((call, end), wanted) in cases {
            let found = segment(&[operation(call, end)], Moment(10), Moment(20));
            let wanted: Vec<_> = wanted.map(|end| operation(call, end)).into_iter().collect();
            assert_eq!(found, wanted, "{call} to {end:?}");
        }
    }
}
