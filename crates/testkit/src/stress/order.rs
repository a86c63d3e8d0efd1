//! Whether the replies and the final data of a round are those of some order that keeps each session's own: pure.
//!
//! | what is known | which says |
//! |---|---|
//! | the final list of a key | the order of all pushes to it |
//! | the length in a reply | which pushes were before the request, and which after |
//! | two requests of a session to one node | the first was before the second |
//! | a reply that was read before another request was sent, by whichever session | the first was before the second |
//!
//! An order exists when nothing of that goes round in a circle.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use resp::Value;

use super::record::{Asked, Entry, KeyId, Outcome, Record, SessionId};
use crate::history::Moment;

/// Why no order explains what was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A list holds an item twice: a request was executed twice.
    #[error("executed twice: {0}")]
    Twice(String),
    /// A list holds an item that nobody pushed there.
    #[error("the list {key} holds {item}, which nobody pushed")]
    FromNowhere {
        /// The list's name.
        key: String,
        /// The item.
        item: String,
    },
    /// A request was executed although its error says that it was not.
    #[error("executed, although refused: {0}")]
    RefusedAndDone(String),
    /// A push was acknowledged with a place in which the final list holds something else: it is lost or was moved.
    #[error("acknowledged and not where it was said to be: {0}")]
    Lost(String),
    /// A reply that no state of the list explains, or one to another request.
    #[error("a wrong reply: {0}")]
    WrongReply(String),
    /// Each of these was before the next one, and the last before the first.
    #[error("no order: each was before the next, and the last before the first:\n  {}", .0.join("\n  "))]
    Circle(Vec<String>),
}

/// Finds the order of all requests that were executed, as indexes of the record's entries.
///
/// # Errors
/// The [`Violation`] found.
pub fn order(record: &Record) -> Result<Vec<usize>, Violation> {
    let pushed = pushed(record)?;
    let mut graph = Graph::new(record.entries.len());
    // For each list: which pushes it holds, in order, and who saw it at each length.
    let mut seen: HashMap<KeyId, Vec<Vec<usize>>> = HashMap::new();
    for (index, entry) in record.entries.iter().enumerate() {
        let Outcome::Answered(reply, _) = &entry.outcome else { continue };
        let wrong = || Violation::WrongReply(entry.to_string());
        match &entry.request.asked {
            Asked::Aside(expected) => {
                if expected.as_deref().is_some_and(|bytes| bytes != reply.bytes()) {
                    return Err(wrong());
                }
            }
            Asked::Push(key, _) => {
                let place =
                    length(reply.integer().map_err(|_| wrong())?).and_then(|after| after.checked_sub(1));
                let there = place.and_then(|place| pushed[key.0].get(place));
                if there != Some(&index) {
                    return Err(Violation::Lost(entry.to_string()));
                }
            }
            Asked::Length(key) | Asked::Items(key) => {
                let items = &record.finals[key.0];
                let saw = match reply.value().map_err(|_| wrong())? {
                    Value::Integer(number) if matches!(entry.request.asked, Asked::Length(_)) => {
                        length(number)
                    }
                    Value::Array(saw) if matches!(entry.request.asked, Asked::Items(_)) => {
                        let same = |(item, saw): (&Vec<u8>, &Value<'_>)| *saw == Value::Bulk(item);
                        (saw.len() <= items.len() && items.iter().zip(&saw).all(same)).then_some(saw.len())
                    }
                    _ => None,
                };
                let saw = saw.filter(|saw| *saw <= items.len()).ok_or_else(wrong)?;
                let by_length = seen.entry(*key).or_insert_with(|| vec![Vec::new(); items.len() + 1]);
                by_length[saw].push(index);
            }
        }
    }
    for (key, pushed) in pushed.iter().enumerate() {
        graph.list(pushed, seen.get(&KeyId(key)));
    }
    let happened = happened(record, &pushed);
    graph.sessions(record, &happened);
    graph.time(record, &happened);
    graph.sort(record, &happened)
}

/// A length or a place in a list.
fn length(number: i64) -> Option<usize> {
    usize::try_from(number).ok()
}

/// For each list, the entries that made its items, in order.
fn pushed(record: &Record) -> Result<Vec<Vec<usize>>, Violation> {
    let mut makers: HashMap<(KeyId, &[u8]), usize> = HashMap::new();
    for (index, entry) in record.entries.iter().enumerate() {
        if let Asked::Push(key, item) = &entry.request.asked {
            makers.insert((*key, item.as_bytes()), index);
        }
    }
    let mut pushed = Vec::with_capacity(record.finals.len());
    for (key, items) in record.finals.iter().enumerate() {
        let mut of_key = Vec::with_capacity(items.len());
        for item in items {
            let Some(maker) = makers.get(&(KeyId(key), item)) else {
                let shown = item[..item.len().min(40)].escape_ascii().to_string();
                return Err(Violation::FromNowhere { key: record.keys[key].name.clone(), item: shown });
            };
            let entry = &record.entries[*maker];
            if matches!(entry.outcome, Outcome::Refused(_)) {
                return Err(Violation::RefusedAndDone(entry.to_string()));
            }
            of_key.push(*maker);
        }
        let mut sorted = of_key.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Violation::Twice(record.entries[twice[0]].to_string()));
        }
        pushed.push(of_key);
    }
    Ok(pushed)
}

/// For each entry, whether it was executed.
fn happened(record: &Record, pushed: &[Vec<usize>]) -> Vec<bool> {
    let mut happened: Vec<bool> =
        record.entries.iter().map(|entry| matches!(entry.outcome, Outcome::Answered(..))).collect();
    for index in pushed.iter().flatten() {
        happened[*index] = true;
    }
    happened
}

/// What must be before what. The first nodes are the entries; instants of the clock come after them.
struct Graph {
    after: Vec<Vec<usize>>,
}

impl Graph {
    fn new(entries: usize) -> Self {
        Self { after: vec![Vec::new(); entries] }
    }

    fn before(&mut self, first: usize, second: usize) {
        self.after[first].push(second);
    }

    /// The pushes of a list follow each other; who saw the list at a length is between two of them.
    fn list(&mut self, pushed: &[usize], seen: Option<&Vec<Vec<usize>>>) {
        for pair in pushed.windows(2) {
            self.before(pair[0], pair[1]);
        }
        for (length, readers) in seen.into_iter().flatten().enumerate() {
            for reader in readers {
                if let Some(last) = length.checked_sub(1) {
                    self.before(pushed[last], *reader);
                }
                if let Some(next) = pushed.get(length) {
                    self.before(*reader, *next);
                }
            }
        }
    }

    /// Requests of one session to one node keep their order, but for those of unknown outcome: they may have been
    /// executed at any later time.
    fn sessions(&mut self, record: &Record, happened: &[bool]) {
        let mut last: HashMap<(SessionId, usize, usize), usize> = HashMap::new();
        for (index, entry) in record.entries.iter().enumerate().filter(|(index, _)| happened[*index]) {
            let Some(key) = entry.request.asked.key() else { continue };
            let key = &record.keys[key.0];
            let way = (entry.session, key.database, key.part);
            if let Some(earlier) = last.get(&way) {
                self.before(*earlier, index);
            }
            if entry.end().is_some() {
                last.insert(way, index);
            }
        }
    }

    /// Whatever was answered is before what was asked afterwards.
    ///
    /// ```text
    /// a ──▶ end of a ──▶ end of b ──▶ c      c was sent after both had been read
    ///            b ─────────▲
    /// ```
    fn time(&mut self, record: &Record, happened: &[bool]) {
        let done = || record.entries.iter().enumerate().filter(|(index, _)| happened[*index]);
        let mut ends: Vec<(Moment, usize)> =
            done().filter_map(|(index, entry)| entry.end().map(|end| (end, index))).collect();
        ends.sort_unstable();
        let instants = self.after.len();
        self.after.resize_with(instants + ends.len(), Vec::new);
        for (number, (_, index)) in ends.iter().enumerate() {
            self.before(*index, instants + number);
            if number > 0 {
                self.before(instants + number - 1, instants + number);
            }
        }
        for (index, entry) in done() {
            let earlier = ends.partition_point(|(end, _)| *end < entry.call);
            if let Some(last) = earlier.checked_sub(1) {
                self.before(instants + last, index);
            }
        }
    }

    /// An order of the entries that keeps all of it.
    fn sort(&self, record: &Record, happened: &[bool]) -> Result<Vec<usize>, Violation> {
        let mut waits_for = vec![0_usize; self.after.len()];
        for next in self.after.iter().flatten() {
            waits_for[*next] += 1;
        }
        let is_part = |node: usize| happened.get(node).copied().unwrap_or(true);
        let free = (0..self.after.len()).filter(|node| is_part(*node) && waits_for[*node] == 0);
        let mut ready: BinaryHeap<Reverse<usize>> = free.map(Reverse).collect();
        let mut sorted = Vec::with_capacity(self.after.len());
        while let Some(Reverse(node)) = ready.pop() {
            sorted.push(node);
            for next in &self.after[node] {
                waits_for[*next] -= 1;
                if waits_for[*next] == 0 {
                    ready.push(Reverse(*next));
                }
            }
        }
        if (0..self.after.len()).any(|node| is_part(node) && waits_for[node] > 0) {
            return Err(Violation::Circle(self.circle(record, &waits_for)));
        }
        sorted.retain(|node| *node < record.entries.len());
        Ok(sorted)
    }

    /// The entries of a circle among the nodes that still wait.
    fn circle(&self, record: &Record, waits_for: &[usize]) -> Vec<String> {
        let mut waited_by = vec![None; self.after.len()];
        for node in (0..self.after.len()).filter(|node| waits_for[*node] > 0) {
            for next in &self.after[node] {
                waited_by[*next] = Some(node);
            }
        }
        // Backwards from any of them one comes into a circle, since each waits for another that waits.
        let Some(mut node) = (0..waits_for.len()).find(|node| waits_for[*node] > 0) else {
            return Vec::new();
        };
        let mut visited = Vec::new();
        while !visited.contains(&node) {
            visited.push(node);
            match waited_by[node] {
                Some(earlier) => node = earlier,
                None => break,
            }
        }
        let begin = visited.iter().position(|other| *other == node).unwrap_or(0);
        let entries = visited[begin..].iter().rev().filter_map(|node| record.entries.get(*node));
        entries.map(Entry::to_string).collect()
    }
}
