//! SCAN over the primaries here, one after the other, under one cursor.
//!
//! The client's cursor says which shard it is in, and what made it. Shards are counted by their lowest slots, so the
//! order in which a view lists nodes does not matter.
//!
//! ```text
//!  63 62                                            22+w      22            8           0
//! +--+-----------------------------------------------+--------+-------------+-----------+
//! | 0|  the backend's cursor                         |  shard |   process   |   layout  |
//! +--+-----------------------------------------------+--------+-------------+-----------+
//! ```
//!
//! - *layout*: which slots are together in which shard here. A cursor of another layout begins the scan again.
//! - *process*: a hash of the node's address and run id. Each process has its own hash seed, so a cursor means nothing
//!   to another one: a cursor of another process begins that shard again.
//! - *shard*: as many bits as the layout has shards, none for one.
//!
//! SCAN allows an element to come twice, and does not allow one that was there all the time to be left out. Two layouts
//! have the same hash once in 2^8, two processes once in 2^14.
//! A backend's cursor is less than the size of its hash table, so with 2^30 keys and two shards the client's cursor is
//! below 2^53, which clients that read numbers as doubles can hold.

use crate::command::Args;
use resp::{Value, encode, parse_value};

/// Bits of a cursor that say of which layout it is.
const LAYOUT_BITS: u32 = 8;
/// Bits of a cursor that say which process made it.
const PROCESS_BITS: u32 = 14;
/// How many primaries are asked for one command without keys.
pub const SCAN_NODES_MAX: usize = 1 << 10;

/// Redis's error for a cursor that is none.
pub const INVALID_CURSOR: &str = "ERR invalid cursor";
const TOO_LARGE: &str = "ERR the backend's SCAN cursor is too large for this proxy";
const NO_SCAN_REPLY: &str = "ERR the backend's reply to SCAN cannot be understood";

/// What cursors are bound to: the shards here, in the order of their lowest slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanShards {
    layout: u64,
    processes: Vec<u64>,
}

/// A step of a scan: the shard that is asked, and what the client's next cursor is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanStep {
    /// Which shard.
    pub shard: usize,
    /// Where in it: the backend's cursor.
    pub backend_cursor: u64,
    level: ScanLevel,
    /// Where the shards are one of several members of a scan: that member's place.
    outer: Option<ScanLevel>,
}

/// A place in a sequence that is scanned under one cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScanLevel {
    /// The low bits of a cursor in this place, and how many they are.
    pub(super) head: u64,
    pub(super) head_bits: u32,
    /// The cursor when this place has been scanned.
    pub(super) after: u64,
}

impl ScanShards {
    /// Shards of a layout with this hash. Each is served by a process: the node's address and its run id, empty where
    /// that is not known.
    pub fn new<'a>(layout: u64, processes: impl Iterator<Item = (&'a str, &'a str)>) -> ScanShards {
        let process = |(address, run_id): (&str, &str)| {
            scan_hash([address.as_bytes(), run_id.as_bytes()].into_iter()) % (1 << PROCESS_BITS)
        };
        ScanShards { layout: layout % (1 << LAYOUT_BITS), processes: processes.map(process).collect() }
    }

    /// The step that a client's cursor leads to. There is at least one shard.
    pub fn step(&self, cursor: u64) -> ScanStep {
        let layout = cursor % (1 << LAYOUT_BITS);
        let process = (cursor >> LAYOUT_BITS) % (1 << PROCESS_BITS);
        let shard = (cursor >> (LAYOUT_BITS + PROCESS_BITS)) % (1 << self.shard_bits());
        let shard = usize::try_from(shard).unwrap_or(usize::MAX);
        let place = match self.processes.get(shard) {
            _ if cursor == 0 => (0, 0),
            Some(&known) if layout == self.layout && process == known => (shard, cursor >> self.head_bits()),
            Some(_) if layout == self.layout => (shard, 0),
            _ => (0, 0),
        };
        let (shard, backend_cursor) = place;
        let after = if shard + 1 < self.processes.len() { self.head(shard + 1) } else { 0 };
        let level = ScanLevel { head: self.head(shard), head_bits: self.head_bits(), after };
        ScanStep { shard, backend_cursor, level, outer: None }
    }

    fn shard_bits(&self) -> u32 {
        usize::BITS - (self.processes.len().saturating_sub(1)).leading_zeros()
    }

    fn head_bits(&self) -> u32 {
        LAYOUT_BITS + PROCESS_BITS + self.shard_bits()
    }

    fn head(&self, shard: usize) -> u64 {
        (shard as u64) << (LAYOUT_BITS + PROCESS_BITS) | self.processes[shard] << LAYOUT_BITS | self.layout
    }
}

impl ScanStep {
    /// A step at another proxy, which has that cursor.
    pub(crate) fn elsewhere(cursor: u64, level: ScanLevel) -> ScanStep {
        ScanStep { shard: 0, backend_cursor: cursor, level, outer: None }
    }

    /// The same step where the shards are one of several members of a scan.
    pub(crate) fn within(self, outer: Option<ScanLevel>) -> ScanStep {
        ScanStep { outer, ..self }
    }

    /// The client's cursor for a backend's; `None` where it has more bits than there are.
    fn next(&self, backend_cursor: u64) -> Option<u64> {
        let next = self.level.next(backend_cursor)?;
        self.outer.map_or(Some(next), |outer| outer.next(next))
    }
}

impl ScanLevel {
    /// The cursor for one that is valid in this place.
    pub(super) fn next(&self, inner: u64) -> Option<u64> {
        match inner {
            0 => Some(self.after),
            more if more >> (u64::BITS - 1 - self.head_bits) == 0 => Some(more << self.head_bits | self.head),
            _ => None,
        }
    }
}

/// A hash that is the same in every process and version (FNV-1a), of parts that are told apart.
pub(crate) fn scan_hash<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = parts.flat_map(|part| part.iter().copied().chain([0xff]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    hash ^ hash >> 32
}

/// The cursor of a SCAN request; the error is [`INVALID_CURSOR`].
///
/// # Errors
/// When argument 1 is no decimal number of 64 bits.
pub fn scan_cursor_of(args: Args<'_>) -> Result<u64, &'static str> {
    cursor(args.get(1)).ok_or(INVALID_CURSOR)
}

/// The words of the SCAN request for the backend: the client's own, with the backend's cursor.
pub fn scan_words<'a>(args: Args<'a>, backend_cursor: &'a str) -> Vec<&'a [u8]> {
    let words = args.iter().enumerate();
    words.map(|(index, word)| if index == 1 { backend_cursor.as_bytes() } else { word }).collect()
}

/// Appends what the client gets for the backend's reply to `step`: the same keys under the cursor of the next step. An
/// error passes as it is.
pub fn scan_reply(part: &[u8], step: &ScanStep, out: &mut Vec<u8>) {
    if resp::is_error(part) {
        out.extend_from_slice(part);
        return;
    }
    let Some((backend_cursor, keys)) = reply_parts(part) else { return encode::error(out, NO_SCAN_REPLY) };
    let Some(next) = step.next(backend_cursor) else { return encode::error(out, TOO_LARGE) };
    encode::array(out, 2);
    encode::bulk(out, itoa::Buffer::new().format(next).as_bytes());
    out.extend_from_slice(keys);
}

/// The backend's cursor and the bytes of the array of keys, which are not looked into.
fn reply_parts(part: &[u8]) -> Option<(u64, &[u8])> {
    let rest = part.strip_prefix(b"*2\r\n")?;
    let (Value::Bulk(digits), len) = parse_value(rest).ok()?? else { return None };
    Some((cursor(digits)?, &rest[len..]))
}

fn cursor(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{ScanShards, scan_cursor_of, scan_reply, scan_words};
    use crate::command::Args;
    use proptest::prelude::*;
    use resp::RequestParser;

    fn with_args<T>(request: &[u8], read: impl FnOnce(Args<'_>) -> T) -> T {
        let mut parser = RequestParser::new();
        parser.parse(request, &resp::RequestLimits::default()).expect("a request");
        read(Args::new(request, parser.spans()))
    }

    /// So many shards; `changed` is served by another process than usual.
    fn shards(layout: u64, count: usize, changed: Option<usize>) -> ScanShards {
        let names: Vec<(String, &str)> = (0..count)
            .map(|shard| (format!("node:{shard}"), if changed == Some(shard) { "new" } else { "old" }))
            .collect();
        ScanShards::new(layout, names.iter().map(|(address, run_id)| (address.as_str(), *run_id)))
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_place(count in 1..20_usize, at in any::<prop::sample::Index>(), backend in 1..1_u64 << 36) {
            let (shard, known) = (at.index(count), shards(7, count, None));
            let cursor = known.head(shard);
            let cursor = known.step(cursor).next(backend).expect("within bounds");
            prop_assert!(i64::try_from(cursor).is_ok());
            let step = known.step(cursor);
            prop_assert_eq!((step.shard, step.backend_cursor), (shard, backend));
            // Another process has the shard: it begins again. Another shard's process does not matter.
            let step = shards(7, count, Some(shard)).step(cursor);
            prop_assert_eq!((step.shard, step.backend_cursor), (shard, 0));
            let step = shards(7, count, Some((shard + 1) % (count + 1))).step(cursor);
            prop_assert_eq!((step.shard, step.backend_cursor), (shard, backend));
            // Another layout: all begins again.
            for other in [shards(8, count, None), shards(8, count + 1, None)] {
                let step = other.step(cursor);
                prop_assert_eq!((step.shard, step.backend_cursor), (0, 0));
            }
        }

        #[test]
        fn any_number_leads_to_a_shard(count in 1..20_usize, cursor: u64) {
            prop_assert!(shards(7, count, None).step(cursor).shard < count);
        }
    }

    #[test]
    fn usual_cursors_fit_a_double() {
        for (count, keys_log2) in [(1, 31), (2, 30), (16, 27)] {
            let cursor = shards(255, count, None).step(0).next((1 << keys_log2) - 1);
            assert!(cursor.expect("within bounds") < 1 << 53, "{count} shards");
        }
    }

    #[test]
    fn replies_lead_through_all_shards() {
        let known = shards(7, 2, None);
        let (here, second) = (known.step(0).next(5).expect("small"), known.head(1));
        let in_second = known.step(second).next(5).expect("small");
        let bulk = |number: u64| format!("${}~{number}~", number.to_string().len());
        let too_large = "-ERR the backend's SCAN cursor is too large for this proxy~";
        let cases = [
            // (the backend's reply, the client's cursor, what the client gets)
            ("*2~$1~5~*1~$1~a~", 0, format!("*2~{}*1~$1~a~", bulk(here))),
            ("*2~$1~0~*1~$1~a~", here, format!("*2~{}*1~$1~a~", bulk(second))),
            ("*2~$1~5~*0~", second, format!("*2~{}*0~", bulk(in_second))),
            ("*2~$1~0~*0~", in_second, "*2~$1~0~*0~".to_owned()),
            ("*2~$20~18446744073709551615~*0~", 0, too_large.to_owned()),
            ("-ERR syntax error~", 0, "-ERR syntax error~".to_owned()),
            ("+OK~", 0, "-ERR the backend's reply to SCAN cannot be understood~".to_owned()),
        ];
        for (part, cursor, expected) in cases {
            let mut out = Vec::new();
            scan_reply(part.replace('~', "\r\n").as_bytes(), &known.step(cursor), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected.replace('~', "\r\n"), "{part} at {cursor}");
        }
    }

    #[test]
    fn requests_carry_the_backends_cursor() {
        let request = b"*4\r\n$4\r\nScan\r\n$4\r\n5121\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n";
        with_args(request, |args| {
            assert_eq!(scan_cursor_of(args), Ok(5121));
            assert_eq!(scan_words(args, "5"), [b"Scan".as_slice(), b"5", b"COUNT", b"10"]);
        });
        for wrong in ["-1", "x", "18446744073709551616", "+1"] {
            let request = format!("*2\r\n$4\r\nSCAN\r\n${}\r\n{wrong}\r\n", wrong.len());
            with_args(request.as_bytes(), |args| assert!(scan_cursor_of(args).is_err(), "{wrong}"));
        }
    }
}
