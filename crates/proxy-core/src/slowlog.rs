//! The slow log: the last requests that took too long.
//!
//! One thread keeps it; workers hand in entries. Arguments are cut as Redis cuts them, so an entry never
//! holds more than 4 KiB of them, whatever the request was.

use std::collections::VecDeque;

use resp::encode;

/// Arguments of a request that an entry shows; the last says how many are left out.
const ARGS_MAX: usize = 32;
/// Bytes of an argument that an entry shows.
const ARG_BYTES_MAX: usize = 128;

/// One slow request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowEntry {
    /// Unix time in seconds when it was done.
    pub unix_s: u64,
    /// How long it took.
    pub us: u64,
    /// The arguments, cut.
    pub args: Vec<Box<[u8]>>,
    /// The client's address.
    pub client: String,
    /// The client's name, empty if it has none.
    pub name: Box<[u8]>,
}

/// A request for the slow log, its arguments understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlowlogRequest {
    /// The newest entries, at most this many; `None` means all.
    Get(Option<usize>),
    /// How many there are.
    Len,
    /// Forget all.
    Reset,
}

/// A bounded list, newest entry first. Numbers given to entries are never used again, not even after a reset.
#[derive(Debug, Default)]
pub struct SlowLog {
    entries: VecDeque<(u64, SlowEntry)>,
    next_id: u64,
}

impl SlowEntry {
    /// Cuts the arguments of a request.
    pub fn cut_args<'a>(args: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Box<[u8]>> {
        let given = args.len();
        let shown = if given > ARGS_MAX { ARGS_MAX - 1 } else { given };
        let mut cut: Vec<Box<[u8]>> = args.take(shown).map(cut_arg).collect();
        if given > shown {
            cut.push(format!("... ({} more arguments)", given - shown).into_bytes().into());
        }
        cut
    }
}

fn cut_arg(arg: &[u8]) -> Box<[u8]> {
    let Some((shown, rest)) = arg.split_at_checked(ARG_BYTES_MAX).filter(|(_, rest)| !rest.is_empty()) else {
        return arg.into();
    };
    let mut cut = shown.to_vec();
    cut.extend_from_slice(format!("... ({} more bytes)", rest.len()).as_bytes());
    cut.into()
}

impl SlowLog {
    /// Adds an entry; the oldest go when there are more than `len_max`.
    pub fn push(&mut self, entry: SlowEntry, len_max: u64) {
        self.entries.push_front((self.next_id, entry));
        self.next_id += 1;
        self.entries.truncate(usize::try_from(len_max).unwrap_or(usize::MAX));
    }

    /// Entries kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries with their numbers, newest first.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &SlowEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// Appends the reply to `request`, the same in both protocols.
    pub fn answer(&mut self, request: SlowlogRequest, out: &mut Vec<u8>) {
        match request {
            SlowlogRequest::Get(count) => self.write(count.unwrap_or(usize::MAX), out),
            SlowlogRequest::Len => encode::integer(out, self.len() as i64),
            SlowlogRequest::Reset => {
                self.entries.clear();
                encode::simple(out, "OK");
            }
        }
    }

    fn write(&self, count: usize, out: &mut Vec<u8>) {
        encode::array(out, count.min(self.len()));
        for (id, entry) in self.entries.iter().take(count) {
            encode::array(out, 6);
            for number in [*id, entry.unix_s, entry.us] {
                encode::integer(out, i64::try_from(number).unwrap_or(i64::MAX));
            }
            encode::array(out, entry.args.len());
            for arg in &entry.args {
                encode::bulk(out, arg);
            }
            encode::bulk(out, entry.client.as_bytes());
            encode::bulk(out, &entry.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(us: u64) -> SlowEntry {
        let args = SlowEntry::cut_args([b"get".as_slice(), b"k"].into_iter());
        SlowEntry { unix_s: 1_700_000_000, us, args, client: "1.2.3.4:5".to_owned(), name: Box::default() }
    }

    fn reply(log: &mut SlowLog, request: SlowlogRequest) -> String {
        let mut out = Vec::new();
        log.answer(request, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arguments_are_cut_as_redis_cuts_them() {
        for (given, shown, last) in [
            (vec![3; 32], 32, "xxx".to_owned()),
            (vec![3; 33], 32, "... (2 more arguments)".to_owned()),
            (vec![3; 35], 32, "... (4 more arguments)".to_owned()),
            (vec![128], 1, "x".repeat(128)),
            (vec![194], 1, "x".repeat(128) + "... (66 more bytes)"),
        ] {
            let args: Vec<Vec<u8>> = given.iter().map(|len| vec![b'x'; *len]).collect();
            let cut = SlowEntry::cut_args(args.iter().map(Vec::as_slice));
            assert_eq!(cut.len(), shown);
            assert_eq!(String::from_utf8_lossy(cut.last().unwrap()), last);
        }
    }

    #[test]
    fn newest_first_and_bounded() {
        let mut log = SlowLog::default();
        for us in 0..5 {
            log.push(entry(us), 3);
        }
        assert_eq!(reply(&mut log, SlowlogRequest::Len), ":3\r\n");
        let one =
            "*6\r\n:4\r\n:1700000000\r\n:4\r\n*2\r\n$3\r\nget\r\n$1\r\nk\r\n$9\r\n1.2.3.4:5\r\n$0\r\n\r\n";
        assert_eq!(reply(&mut log, SlowlogRequest::Get(Some(1))), format!("*1\r\n{one}"));
        assert!(reply(&mut log, SlowlogRequest::Get(None)).starts_with(&format!("*3\r\n{one}")));
        assert_eq!(reply(&mut log, SlowlogRequest::Get(Some(0))), "*0\r\n");
        assert_eq!(reply(&mut log, SlowlogRequest::Reset), "+OK\r\n");
        log.push(entry(9), 3);
        assert!(reply(&mut log, SlowlogRequest::Get(None)).starts_with("*1\r\n*6\r\n:5\r\n"), "ids go on");
        log.push(entry(9), 0);
        assert!(log.is_empty());
    }
}
