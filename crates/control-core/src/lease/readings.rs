//! When the last token of each proxy came by which anybody may have granted it a lease.
//!
//! A lease is granted by a reading of the metadata, and counts from a token that came before that reading began. So the
//! broker that gives out all readings, and is told with each which proxies have been silent since an earlier one, knows
//! from when a proxy's last lease counts at the latest. A lease of a dead proxy began to run out when it died, and not only
//! when it was fenced:
//! ```text
//!   proxy          token ─┐  dies
//!   coordinator A         └─▶ reading 7 ── reading 8 ── reading 9, "silent since 7" ── fence
//!   coordinator B        └──▶ reading 4 ── reading 5, "silent since 4" ── reading 6
//!   broker               b7, b4: the last lease ends at most its length after the later of the two
//! ```
//! Only the broker's clock counts: a coordinator says in which order things came, and no times.
//!
//! The interleavings:
//! - A coordinator was stopped between its note and the call, or the call took long: the broker counts from when it came.
//! - It goes on to grant by a reading from before: by tokens that came before that reading, which its note covers.
//! - It has not read for long: its last note counts, however old. Later tokens are of no use to it without a reading.
//! - A token comes while a reading is under way that calls the proxy silent: that reading does not let grant by it
//!   ([`LeaseTerms::noted`]).
//! - Somebody reads who says nothing, such as a coordinator of an earlier version: a token may have come until then.
//! - The broker was restarted: who read before is not known, so a token may have come until it started.
//! - Two calls of one reading, because one broker hangs: both count.
//! - A coordinator reads at another broker of the same store: nobody knows all readings there, and this is not used.
//!
//! [`LeaseTerms::noted`]: super::LeaseTerms::noted

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use model::{Address, Moment};

/// How many proxies are called silent at most: those that fell silent last.
const SILENT_MAX: usize = 128;
/// How many readings of a coordinator a broker remembers. Of an earlier one it takes the oldest that it remembers.
const READINGS_KEPT: usize = 256;
/// How many coordinators a broker tells apart.
const READERS_MAX: usize = 64;

/// What a coordinator says with a reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingNote {
    /// Names the process that reads.
    pub reader: u64,
    /// Counts its readings.
    pub number: u64,
    /// Proxies of which no token came since its reading of that number began.
    pub silent: BTreeMap<Address, u64>,
}

/// A coordinator's part: which proxy's tokens came between which of its readings.
///
/// **Contract.** The shell calls [`Hearing::came`] before it holds the token, and [`Hearing::begin`] before it reads; the
/// moments of all these calls are in their order.
#[derive(Debug)]
pub struct Hearing {
    reader: u64,
    number: u64,
    /// How many readings had begun when the last token came, and when it came.
    last: HashMap<Address, (u64, Moment)>,
}

impl Hearing {
    /// Nothing was heard yet. `reader` names this process and no other.
    #[must_use]
    pub fn new(reader: u64) -> Self {
        Self { reader, number: 0, last: HashMap::new() }
    }

    /// A token of a proxy has come.
    pub fn came(&mut self, proxy: &Address, now: Moment) {
        self.last.insert(proxy.clone(), (self.number, now));
    }

    /// A reading begins: what is said with it of these proxies. It calls those silent that have been so for `silence`.
    pub fn begin<'a>(
        &mut self,
        proxies: impl Iterator<Item = &'a Address>,
        silence: Duration,
        now: Moment,
    ) -> ReadingNote {
        self.number += 1;
        let since = |proxy: &Address| match self.last.get(proxy) {
            Some((begun, came)) => (now.since(*came) >= silence).then_some(begun + 1),
            None => Some(1),
        };
        let silent = proxies.filter_map(|proxy| Some((since(proxy).filter(|at| *at < self.number)?, proxy)));
        let mut silent: Vec<_> = silent.collect();
        silent.sort_by(|one, other| other.cmp(one));
        silent.truncate(SILENT_MAX);
        let silent = silent.into_iter().map(|(since, proxy)| (proxy.clone(), since)).collect();
        ReadingNote { reader: self.reader, number: self.number, silent }
    }

    /// Forgets the proxies that are not watched any more.
    pub fn keep(&mut self, is_watched: impl Fn(&Address) -> bool) {
        self.last.retain(|proxy, _| is_watched(proxy));
    }
}

/// A broker's part: who has read when, and what was said with that.
///
/// **Contract.** The broker calls [`Readings::note`] before it looks at what it answers.
#[derive(Clone, Debug)]
pub struct Readings {
    /// When somebody read last of whom nothing is known.
    unknown: Moment,
    readers: BTreeMap<u64, Reader>,
}

#[derive(Clone, Debug)]
struct Reader {
    /// The number of its last reading.
    number: u64,
    /// When it called last.
    latest: Moment,
    /// When each reading first came, in the order of their numbers.
    begun: VecDeque<(u64, Moment)>,
    silent: BTreeMap<Address, u64>,
}

impl Readings {
    /// Of a broker that has just started: others may have read until now.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self { unknown: now, readers: BTreeMap::new() }
    }

    /// Somebody reads, and says this, if anything.
    pub fn note(&mut self, note: Option<ReadingNote>, now: Moment) {
        let Some(note) = note else {
            self.unknown = now;
            return;
        };
        if self.readers.len() >= READERS_MAX && !self.readers.contains_key(&note.reader) {
            let oldest = self.readers.iter().min_by_key(|(_, reader)| reader.latest);
            if let Some(reader) = oldest.map(|(name, _)| *name).and_then(|name| self.readers.remove(&name)) {
                self.unknown = self.unknown.max(reader.latest);
            }
        }
        let reader = self.readers.entry(note.reader).or_insert_with(|| Reader {
            number: 0,
            latest: now,
            begun: VecDeque::new(),
            silent: BTreeMap::new(),
        });
        reader.latest = now;
        // One that was overtaken on its way knows less than what was said since.
        if note.number > reader.number {
            (reader.number, reader.silent) = (note.number, note.silent);
            reader.begun.push_back((note.number, now));
            if reader.begun.len() > READINGS_KEPT {
                reader.begun.pop_front();
            }
        }
    }

    /// When the last token of a proxy came, at the latest, by which a lease may have been granted until now.
    #[must_use]
    pub fn last_token(&self, proxy: &Address) -> Moment {
        let last = self.readers.values().map(|reader| reader.last_token(proxy)).max();
        last.map_or(self.unknown, |last| last.max(self.unknown))
    }
}

impl Reader {
    fn last_token(&self, proxy: &Address) -> Moment {
        let Some(since) = self.silent.get(proxy) else { return self.latest };
        let first = self.begun.iter().find(|(number, _)| number >= since);
        first.map_or(self.latest, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment(Duration::from_millis(1_000_000 + ms))
    }

    fn proxy(number: usize) -> Address {
        format!("10.0.0.{number}:5299").parse().unwrap()
    }

    const SILENCE: Duration = Duration::from_millis(100);

    #[test]
    fn a_proxy_is_silent_since_the_first_reading_after_its_last_token() {
        let (alive, dead, never) = (proxy(1), proxy(2), proxy(3));
        let all = [&alive, &dead, &never];
        let mut hearing = Hearing::new(7);
        hearing.came(&alive, at(0));
        hearing.came(&dead, at(10));
        assert_eq!(hearing.begin(all.into_iter(), SILENCE, at(20)).silent, BTreeMap::new());
        hearing.came(&alive, at(60));
        let silent = |since: &[(&Address, u64)]| -> BTreeMap<Address, u64> {
            since.iter().map(|(proxy, since)| ((*proxy).clone(), *since)).collect()
        };
        assert_eq!(hearing.begin(all.into_iter(), SILENCE, at(70)).silent, silent(&[(&never, 1)]));
        let third = hearing.begin(all.into_iter(), SILENCE, at(120));
        assert_eq!(third, ReadingNote { reader: 7, number: 3, silent: silent(&[(&dead, 1), (&never, 1)]) });
        hearing.came(&dead, at(121));
        hearing.keep(|known| *known != never);
        assert_eq!(hearing.begin([&dead].into_iter(), SILENCE, at(160)).silent, BTreeMap::new());
    }

    #[test]
    fn those_that_fell_silent_last_are_told() {
        let proxies: Vec<Address> = (1..=200).map(proxy).collect();
        let mut hearing = Hearing::new(1);
        for (number, proxy) in proxies.iter().enumerate() {
            hearing.came(proxy, at(0));
            if number % 2 == 0 {
                let _ = hearing.begin(std::iter::empty(), SILENCE, at(0));
            }
        }
        let _ = hearing.begin(std::iter::empty(), SILENCE, at(0));
        let note = hearing.begin(proxies.iter(), SILENCE, at(1_000));
        assert_eq!(note.silent.len(), SILENT_MAX);
        assert!(note.silent.contains_key(&proxies[199]) && !note.silent.contains_key(&proxies[0]));
    }

    /// What a coordinator says: its name, the reading's number, and since which reading the proxy is silent.
    type Said = Option<(u64, u64, Option<u64>)>;
    /// Who reads when, and the moment before which the last token came.
    type Case<'a> = (&'a str, &'a [(u64, Said)], u64);

    #[test]
    fn from_when_a_lease_counts() {
        let dead = proxy(1);
        let cases: [Case<'_>; 9] = [
            ("the broker has just started", &[], 0),
            ("heard", &[(10, Some((1, 1, None))), (60, Some((1, 2, None)))], 60),
            (
                "silent",
                &[(10, Some((1, 1, None))), (60, Some((1, 2, None))), (110, Some((1, 3, Some(1))))],
                10,
            ),
            (
                "by one of two",
                &[(10, Some((1, 1, None))), (20, Some((2, 1, None))), (110, Some((1, 2, Some(1))))],
                20,
            ),
            (
                "by both",
                &[
                    (10, Some((1, 1, None))),
                    (20, Some((2, 1, None))),
                    (110, Some((1, 2, Some(1)))),
                    (120, Some((2, 2, Some(1)))),
                ],
                20,
            ),
            (
                "somebody who says nothing",
                &[(10, Some((1, 1, None))), (90, None), (110, Some((1, 2, Some(1))))],
                90,
            ),
            ("a reading that went elsewhere", &[(10, Some((1, 1, None))), (110, Some((1, 3, Some(2))))], 110),
            ("overtaken", &[(10, Some((1, 2, None))), (60, Some((1, 1, Some(1))))], 60),
            (
                "twice",
                &[(10, Some((1, 1, None))), (110, Some((1, 2, Some(1)))), (210, Some((1, 2, Some(1))))],
                10,
            ),
        ];
        for (case, readings, expected) in cases {
            let mut known = Readings::new(at(0));
            for (ms, said) in readings {
                let note = said.map(|(reader, number, since)| ReadingNote {
                    reader,
                    number,
                    silent: since.map(|since| (dead.clone(), since)).into_iter().collect(),
                });
                known.note(note, at(*ms));
            }
            assert_eq!(known.last_token(&dead), at(expected), "{case}");
        }
    }

    #[test]
    fn forgotten_coordinators_and_readings_count() {
        let dead = proxy(1);
        let mut known = Readings::new(at(0));
        for reader in 0..=READERS_MAX as u64 {
            let silent = BTreeMap::from([(dead.clone(), 1)]);
            known.note(Some(ReadingNote { reader, number: 1, silent }), at(reader + 1));
        }
        assert_eq!(known.readers.len(), READERS_MAX);
        assert_eq!(known.unknown, at(1));
        let mut known = Readings::new(at(0));
        for number in 1..=READINGS_KEPT as u64 + 10 {
            let silent = BTreeMap::from([(dead.clone(), 1)]);
            known.note(Some(ReadingNote { reader: 1, number, silent }), at(number));
        }
        assert_eq!(known.last_token(&dead), at(11), "the oldest that is remembered");
    }
}
