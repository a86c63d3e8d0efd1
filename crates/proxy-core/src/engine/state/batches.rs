//! The requests that a connection has sent and that are not answered yet, for the slow log.
//!
//! What was written in one go is kept until its last reply, instead of going back to the pool at once: so a slow
//! request's arguments can be shown without keeping anything for the others. A request is found by its number in its
//! batch only when it is needed, from the one on that was found last: a batch is gone over once, however many are slow.

use std::collections::VecDeque;

use resp::{RequestLimits, RequestParser, RequestStep};

use super::buffers::BufferPool;
use crate::command::Args;
use crate::slowlog::SlowEntry;

#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    requests: u32,
    answered: u32,
    found: Found,
}

/// How far a batch has been gone over.
#[derive(Debug, Default)]
struct Found {
    requests: u32,
    bytes: usize,
}

/// The batches of one connection, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    written: VecDeque<Batch>,
    /// Requests that are still being gathered, or are written in part.
    open: u32,
    /// Of those, how many are answered.
    open_answered: u32,
    /// The bytes that are being gathered begin with requests that are counted in an earlier batch.
    cut: bool,
    /// Memory that the batches take, bytes.
    held: usize,
}

impl Batches {
    /// One more request will be in the batch that is being gathered.
    #[inline]
    pub(crate) fn add(&mut self) {
        self.open += 1;
    }

    /// The batch that was gathered is written. `bytes` is empty where they are not to be had any more.
    #[inline]
    pub(crate) fn written(&mut self, mut bytes: Vec<u8>, pool: &mut BufferPool) {
        if std::mem::take(&mut self.cut) {
            pool.recycle(std::mem::take(&mut bytes));
        }
        if self.open == self.open_answered {
            pool.recycle(bytes);
        } else {
            self.held += bytes.capacity();
            let (requests, answered) = (self.open, self.open_answered);
            self.written.push_back(Batch { bytes, requests, answered, found: Found::default() });
        }
        self.open = 0;
        self.open_answered = 0;
    }

    /// The bytes gathered so far were put aside in the middle of a batch: it cannot be shown.
    pub(crate) fn cut(&mut self, pool: &mut BufferPool) {
        self.written(Vec::new(), pool);
        self.cut = true;
    }

    /// The oldest request is answered.
    #[inline]
    pub(crate) fn answered(&mut self, pool: &mut BufferPool) {
        let Some(front) = self.written.front_mut() else {
            self.open_answered += 1;
            return;
        };
        front.answered += 1;
        if front.answered == front.requests
            && let Some(done) = self.written.pop_front()
        {
            self.held -= done.bytes.capacity();
            pool.recycle(done.bytes);
        }
    }

    /// The oldest request's arguments, cut for the slow log; `None` if its bytes are gone.
    pub(crate) fn oldest_args(&mut self) -> Option<Vec<Box<[u8]>>> {
        let Batch { bytes, answered, found, .. } = self.written.front_mut()?;
        let mut parser = RequestParser::new();
        while found.requests < *answered {
            found.bytes += request_len(&mut parser, &bytes[found.bytes..])?;
            found.requests += 1;
        }
        let rest = &bytes[found.bytes..];
        request_len(&mut parser, rest)?;
        Some(SlowEntry::cut_args(Args::new(rest, parser.spans()).iter()))
    }

    /// The memory that the batches take, bytes.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// The connection is gone, and its requests with it.
    pub(crate) fn clear(&mut self, pool: &mut BufferPool) {
        self.written.drain(..).for_each(|batch| pool.recycle(batch.bytes));
        *self = Batches::default();
    }
}

fn request_len(parser: &mut RequestParser, bytes: &[u8]) -> Option<usize> {
    #[cfg(test)]
    tests::PARSED.with(|parsed| parsed.set(parsed.get() + 1));
    match parser.parse(bytes, &RequestLimits::default()) {
        Ok(RequestStep::Request { len }) => Some(len),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Requests that were parsed.
        pub(super) static PARSED: Cell<usize> = const { Cell::new(0) };
    }

    fn request(words: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        resp::encode::request(&mut out, &words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        out
    }

    #[test]
    fn the_oldest_request_is_found_in_its_batch() {
        let mut pool = BufferPool::default();
        let mut batches = Batches::default();
        let mut expect = Vec::new();
        for batch in 0..3 {
            let mut bytes = Vec::new();
            for number in 0..4 {
                let words = ["SET".to_owned(), format!("key{batch}-{number}"), "x".repeat(number)];
                bytes.extend(request(&words.each_ref().map(String::as_str)));
                expect.push(words);
                batches.add();
            }
            batches.written(bytes, &mut pool);
        }
        for words in expect {
            let args: Vec<Box<[u8]>> = words.iter().map(|word| word.as_bytes().into()).collect();
            assert_eq!(batches.oldest_args(), Some(args));
            batches.answered(&mut pool);
        }
        assert_eq!(batches.oldest_args(), None);
    }

    #[test]
    fn a_batch_is_gone_over_once_for_all_of_its_slow_requests() {
        const REQUESTS: usize = 3_000;
        let mut pool = BufferPool::default();
        let mut batches = Batches::default();
        (0..REQUESTS).for_each(|_| batches.add());
        batches.written(request(&["GET", "a"]).repeat(REQUESTS), &mut pool);
        for _ in 0..REQUESTS {
            assert_eq!(batches.oldest_args().map(|args| args.len()), Some(2));
            batches.answered(&mut pool);
        }
        let parsed = PARSED.with(Cell::get);
        assert!(parsed <= 2 * REQUESTS, "{parsed} times one was parsed");
    }

    #[test]
    fn bytes_that_are_gone_are_not_guessed() {
        let mut pool = BufferPool::default();
        let mut batches = Batches::default();
        batches.add();
        batches.add();
        batches.answered(&mut pool); // written in part, and answered already
        batches.written(Vec::new(), &mut pool);
        assert_eq!(batches.oldest_args(), None);
        batches.answered(&mut pool);
        batches.add();
        batches.written(request(&["GET", "a"]), &mut pool);
        assert_eq!(batches.oldest_args().map(|args| args.len()), Some(2));
        batches.answered(&mut pool);
        batches.add();
        batches.cut(&mut pool);
        batches.add();
        batches.written(request(&["GET", "of the batch before"]), &mut pool);
        batches.add();
        batches.written(request(&["DEL", "b", "c"]), &mut pool);
        for expected in [None, None, Some(3)] {
            assert_eq!(batches.oldest_args().map(|args| args.len()), expected);
            batches.answered(&mut pool);
        }
    }
}
