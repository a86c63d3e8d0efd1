//! The last events, in memory; the stores keep the same ones.

use std::collections::VecDeque;

use api::v4::{Event, EventPage};

/// How many events are kept.
pub const EVENTS_MAX: u64 = 4096;

/// How many sentences an event has at most, the last of which says how many more there were. A restored dump changes
/// everything, and etcd takes a bounded request.
const WORDS_MAX: usize = 100;
/// The longest sentence, in bytes.
const SENTENCE_BYTES_MAX: usize = 500;

/// What an event says, within limits.
pub(super) fn bounded(mut words: Vec<String>) -> Vec<String> {
    if words.len() > WORDS_MAX {
        let more = words.len() - (WORDS_MAX - 1);
        words.truncate(WORDS_MAX - 1);
        words.push(format!("and {more} more changes"));
    }
    for sentence in words.iter_mut().filter(|sentence| sentence.len() > SENTENCE_BYTES_MAX) {
        sentence.truncate(sentence.floor_char_boundary(SENTENCE_BYTES_MAX));
        sentence.push('…');
    }
    words
}

/// The last events, without gaps.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    events: VecDeque<Event>,
}

impl EventLog {
    /// Adds what is new among these, which are in order.
    pub(super) fn extend(&mut self, events: Vec<Event>) {
        for event in events {
            let is_new = self.events.back().is_none_or(|last| last.number < event.number);
            if is_new {
                self.events.push_back(event);
            }
            if self.events.len() as u64 > EVENTS_MAX {
                self.events.pop_front();
            }
        }
    }

    /// Has these events and no others.
    pub(super) fn replace(&mut self, events: Vec<Event>) {
        self.events.clear();
        self.extend(events);
    }

    /// The events after a cursor.
    pub(super) fn page(&self, after: u64, limit: usize) -> EventPage {
        let first = self.events.front().map_or(0, |event| event.number);
        let missed = first.saturating_sub(after.saturating_add(1));
        let start = self.events.partition_point(|event| event.number <= after);
        let events: Vec<Event> = self.events.iter().skip(start).take(limit).cloned().collect();
        let next = events.last().map_or(after, |event| event.number);
        EventPage { events, next, missed }
    }
}

#[cfg(test)]
mod tests {
    use super::{EVENTS_MAX, EventLog, SENTENCE_BYTES_MAX, WORDS_MAX, bounded};
    use api::v4::Event;

    fn event(number: u64) -> Event {
        let kind = "Test".to_owned();
        Event { number, at_ms: 0, kind, cluster: None, address: None, by: None, words: Vec::new() }
    }

    #[test]
    fn events_are_bounded() {
        let few = vec!["a".to_owned(); WORDS_MAX];
        assert_eq!(bounded(few.clone()), few);
        let many = bounded(vec!["a".to_owned(); WORDS_MAX + 1]);
        assert_eq!((many.len(), many.last().unwrap().as_str()), (WORDS_MAX, "and 2 more changes"));
        let long = bounded(vec!["ä".repeat(SENTENCE_BYTES_MAX)]);
        assert!(long[0].len() <= SENTENCE_BYTES_MAX + '…'.len_utf8() && long[0].ends_with('…'));
    }

    #[test]
    fn pages() {
        fn check(count: u64, (after, limit): (u64, usize), expected: (&[u64], u64, u64)) {
            let mut log = EventLog::default();
            log.extend((1..=count).map(event).collect());
            log.extend((1..=count).map(event).collect());
            let page = log.page(after, limit);
            let numbers: Vec<u64> = page.events.iter().map(|event| event.number).collect();
            assert_eq!((numbers.as_slice(), page.next, page.missed), expected, "{count} {after} {limit}");
        }
        check(0, (0, 10), (&[], 0, 0));
        check(0, (u64::MAX - 1, 10), (&[], u64::MAX - 1, 0));
        check(3, (0, 10), (&[1, 2, 3], 3, 0));
        check(3, (1, 1), (&[2], 2, 0));
        check(3, (3, 10), (&[], 3, 0));
        check(3, (9, 10), (&[], 9, 0));
        check(3, (u64::MAX, 10), (&[], u64::MAX, 0));
        check(EVENTS_MAX + 2, (0, 2), (&[3, 4], 4, 2));
    }
}
