//! What sessions ask, taken in turn: one question of each session before a second of any. So a session that asks much
//! delays others by one question, however much it asks. Pure.

use std::collections::{HashMap, VecDeque};

/// Questions that wait, by who asked. What each may have here is limited where they are asked
/// ([`proxy_core::engine::QUESTIONS_PENDING_MAX`]).
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    waiting: HashMap<u64, VecDeque<T>>,
    /// Whose turn it is; each session with questions is here once.
    turns: VecDeque<u64>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> FairQueue<T> {
        FairQueue { waiting: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T> FairQueue<T> {
    /// Adds a question of this client.
    pub(super) fn push(&mut self, client: u64, question: T) {
        let waiting = self.waiting.entry(client).or_default();
        if waiting.is_empty() {
            self.turns.push_back(client);
        }
        waiting.push_back(question);
    }

    /// Takes the next question.
    pub(super) fn pop(&mut self) -> Option<T> {
        let client = self.turns.pop_front()?;
        let waiting = self.waiting.get_mut(&client)?;
        let question = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        question
    }

    /// Whether nobody has asked anything.
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_before_a_second_of_any() {
        let mut queue = FairQueue::default();
        for (client, question) in [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (3, "e"), (2, "f")] {
            queue.push(client, question);
        }
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.extend(queue.pop());
        }
        // A client that comes while others wait is behind one question of each.
        queue.push(4, "g");
        taken.extend(std::iter::from_fn(|| queue.pop()));
        assert_eq!(taken.concat(), "adebfcg");
        assert!(queue.is_empty() && queue.waiting.is_empty());
    }
}
