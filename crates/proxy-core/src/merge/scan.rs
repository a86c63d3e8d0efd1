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
//! - *process*: a hash of the node's address and run id, as the connection tells it that the backend's cursor came over.
//!   Each process has its own hash seed, so a cursor means nothing to another one: what another process answers to it is
//!   thrown away, and that shard begins again.
//! - *shard*: as many bits as the layout has shards, none for one.
//!
//! SCAN allows an element to come twice, and does not allow one that was there all the time to be left out. Two layouts
//! have the same hash once in 2^8, two processes once in 2^14.
//! A backend's cursor is less than the size of its hash table, so with 2^30 keys and two shards the client's cursor is
//! below 2^53, which clients that read numbers as doubles can hold.

use crate::command::Args;
use crate::errors;
use resp::{Value, encode, parse_value};

/// Bits of a cursor that say of which layout it is.
const LAYOUT_BITS: u32 = 8;
/// Bits of a cursor that say which process made it; none for a place where a shard begins.
const PROCESS_BITS: u32 = 14;
/// How many primaries are asked for one command without keys.
pub const SCAN_NODES_MAX: usize = 1 << 10;

/// What cursors are bound to: the shards here, in the order of their lowest slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanShards {
    layout: u64,
    count: usize,
}

/// The process that answers over one connection, as cursors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanProcess(u64);

/// A step of a scan: the shard that is asked, and what the client's next cursor is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanStep {
    /// Which shard.
    pub shard: usize,
    /// Where in it: the backend's cursor.
    pub backend_cursor: u64,
    maker: Maker,
    level: ScanLevel,
    /// Where the shards are one of several members of a scan: that member's place.
    outer: Option<ScanLevel>,
}

/// Who made the cursor that a step sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    /// Another proxy, which sees to it by itself.
    Elsewhere,
    /// Nobody: the shard begins.
    Nobody,
    /// The process with this mark.
    Process(u64),
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

impl ScanProcess {
    /// The process at this address with this run id, empty where that cannot be known.
    #[must_use]
    pub fn new(address: &str, run_id: &str) -> ScanProcess {
        let hash = scan_hash([address.as_bytes(), run_id.as_bytes()].into_iter());
        // Never 0: with that a shard begins.
        ScanProcess(hash % ((1 << PROCESS_BITS) - 1) + 1)
    }
}

impl ScanShards {
    /// `count` shards of a layout with this hash.
    #[must_use]
    pub fn new(layout: u64, count: usize) -> ScanShards {
        ScanShards { layout: layout % (1 << LAYOUT_BITS), count }
    }

    /// The step that a client's cursor leads to. There is at least one shard.
    #[must_use]
    pub fn step(&self, cursor: u64) -> ScanStep {
        let layout = cursor % (1 << LAYOUT_BITS);
        let process = (cursor >> LAYOUT_BITS) % (1 << PROCESS_BITS);
        let shard = (cursor >> (LAYOUT_BITS + PROCESS_BITS)) % (1 << self.shard_bits());
        let shard = usize::try_from(shard).unwrap_or(usize::MAX);
        let is_known = cursor != 0 && layout == self.layout && shard < self.count;
        let (shard, backend_cursor) = if is_known { (shard, cursor >> self.head_bits()) } else { (0, 0) };
        let maker = if backend_cursor == 0 { Maker::Nobody } else { Maker::Process(process) };
        let after = if shard + 1 < self.count { self.head(shard + 1) } else { 0 };
        let level = ScanLevel { head: self.head(shard), head_bits: self.head_bits(), after };
        ScanStep { shard, backend_cursor, maker, level, outer: None }
    }

    fn shard_bits(&self) -> u32 {
        usize::BITS - (self.count.saturating_sub(1)).leading_zeros()
    }

    fn head_bits(&self) -> u32 {
        LAYOUT_BITS + PROCESS_BITS + self.shard_bits()
    }

    fn head(&self, shard: usize) -> u64 {
        (shard as u64) << (LAYOUT_BITS + PROCESS_BITS) | self.layout
    }
}

impl ScanStep {
    /// A step at another proxy, which has that cursor.
    pub(crate) fn elsewhere(cursor: u64, level: ScanLevel) -> ScanStep {
        ScanStep { shard: 0, backend_cursor: cursor, maker: Maker::Elsewhere, level, outer: None }
    }

    /// The same step where the shards are one of several members of a scan.
    pub(crate) fn within(self, outer: Option<ScanLevel>) -> ScanStep {
        ScanStep { outer, ..self }
    }

    /// Whether the process that answered did not make the cursor that it was sent.
    fn is_of_another(&self, process: ScanProcess) -> bool {
        matches!(self.maker, Maker::Process(mark) if mark != process.0)
    }

    /// The client's cursor for one of this process's; `None` where it has more bits than there are.
    fn next(&self, backend_cursor: u64, process: ScanProcess) -> Option<u64> {
        self.outward(self.made_by(process).next(backend_cursor)?)
    }

    /// The client's cursor with which this process's shard begins.
    fn again(&self, process: ScanProcess) -> Option<u64> {
        self.outward(self.made_by(process).head)
    }

    fn made_by(&self, process: ScanProcess) -> ScanLevel {
        match self.maker {
            Maker::Elsewhere => self.level,
            Maker::Nobody | Maker::Process(_) => {
                ScanLevel { head: self.level.head | process.0 << LAYOUT_BITS, ..self.level }
            }
        }
    }

    fn outward(&self, cursor: u64) -> Option<u64> {
        self.outer.map_or(Some(cursor), |outer| outer.next(cursor))
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

/// The cursor of a SCAN request; the error is [`errors::INVALID_CURSOR`].
///
/// # Errors
/// When argument 1 is no decimal number of 64 bits.
pub fn scan_cursor_of(args: Args<'_>) -> Result<u64, &'static str> {
    cursor(args.get(1)).ok_or(errors::INVALID_CURSOR)
}

/// The words of the SCAN request for the backend: the client's own, with the backend's cursor.
pub fn scan_words<'a>(args: Args<'a>, backend_cursor: &'a str) -> Vec<&'a [u8]> {
    let words = args.iter().enumerate();
    words.map(|(index, word)| if index == 1 { backend_cursor.as_bytes() } else { word }).collect()
}

/// Appends what the client gets for the reply of `process` to `step`: the same keys under the cursor of the next step; no
/// keys and the shard's beginning, where another process made the cursor. An error passes as it is.
pub fn scan_reply(part: &[u8], step: &ScanStep, process: ScanProcess, out: &mut Vec<u8>) {
    if resp::is_error(part) {
        out.extend_from_slice(part);
        return;
    }
    let Some((backend_cursor, keys)) = reply_parts(part) else {
        return errors::write(out, errors::NO_SCAN_REPLY);
    };
    let (next, keys) = if step.is_of_another(process) {
        (step.again(process), b"*0\r\n".as_slice())
    } else {
        (step.next(backend_cursor, process), keys)
    };
    let Some(next) = next else { return errors::write(out, errors::CURSOR_TOO_LARGE) };
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
    use super::{ScanProcess, ScanShards, scan_cursor_of, scan_reply, scan_words};
    use crate::command::Args;
    use proptest::prelude::*;
    use resp::RequestParser;

    fn with_args<T>(request: &[u8], read: impl FnOnce(Args<'_>) -> T) -> T {
        let mut parser = RequestParser::new();
        parser.parse(request, &resp::RequestLimits::default()).expect("a request");
        read(Args::new(request, parser.spans()))
    }

    fn process(run_id: &str) -> ScanProcess {
        ScanProcess::new("node:1", run_id)
    }

    /// The client's cursor after `shard` shards have been scanned.
    fn beginning(known: &ScanShards, shard: usize) -> u64 {
        (0..shard).fold(0, |cursor, _| known.step(cursor).next(0, process("a")).expect("within bounds"))
    }

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_its_place(
            layout: u64, count in 1..20_usize, at in any::<prop::sample::Index>(), backend in 1..1_u64 << 36,
            run_id in "[a-f0-9]{4}",
        ) {
            let (shard, known) = (at.index(count), ScanShards::new(layout, count));
            let step = known.step(beginning(&known, shard));
            prop_assert_eq!((step.shard, step.backend_cursor), (shard, 0));
            prop_assert!(!step.is_of_another(process("any")), "where a shard begins any process may answer");
            let cursor = step.next(backend, process(&run_id)).expect("within bounds");
            prop_assert!(i64::try_from(cursor).is_ok());
            let step = known.step(cursor);
            prop_assert_eq!((step.shard, step.backend_cursor), (shard, backend));
            prop_assert!(!step.is_of_another(process(&run_id)));
            // Another process has the shard: it begins again, and that is no end.
            prop_assert_eq!(step.is_of_another(process("b")), process("b") != process(&run_id));
            let again = step.again(process("b")).expect("within bounds");
            prop_assert_ne!(again, 0);
            prop_assert_eq!((known.step(again).shard, known.step(again).backend_cursor), (shard, 0));
            // Another layout: all begins again.
            let step = ScanShards::new(layout.wrapping_add(1), count).step(cursor);
            prop_assert_eq!((step.shard, step.backend_cursor), (0, 0));
        }

        #[test]
        fn any_number_leads_to_a_shard(count in 1..20_usize, cursor: u64) {
            prop_assert!(ScanShards::new(7, count).step(cursor).shard < count);
        }
    }

    #[test]
    fn usual_cursors_fit_a_double() {
        for (count, keys_log2) in [(1, 31), (2, 30), (16, 27)] {
            let cursor = ScanShards::new(255, count).step(0).next((1 << keys_log2) - 1, process("a"));
            assert!(cursor.expect("within bounds") < 1 << 53, "{count} shards");
        }
    }

    #[test]
    fn replies_lead_through_all_shards() {
        let known = ScanShards::new(7, 2);
        let own = process("a");
        let (here, second) = (known.step(0).next(5, own).expect("small"), beginning(&known, 1));
        let in_second = known.step(second).next(5, own).expect("small");
        let made_elsewhere = known.step(0).next(5, process("b")).expect("small");
        let again = known.step(0).again(own).expect("small");
        let bulk = |number: u64| format!("${}~{number}~", number.to_string().len());
        let too_large = "-ERR the backend's SCAN cursor is too large for this proxy~";
        let cases = [
            // (the backend's reply, the client's cursor, what the client gets)
            ("*2~$1~5~*1~$1~a~", 0, format!("*2~{}*1~$1~a~", bulk(here))),
            ("*2~$1~0~*1~$1~a~", here, format!("*2~{}*1~$1~a~", bulk(second))),
            ("*2~$1~5~*0~", second, format!("*2~{}*0~", bulk(in_second))),
            ("*2~$1~0~*0~", in_second, "*2~$1~0~*0~".to_owned()),
            ("*2~$1~0~*1~$1~a~", made_elsewhere, format!("*2~{}*0~", bulk(again))),
            ("*2~$20~18446744073709551615~*0~", 0, too_large.to_owned()),
            ("-ERR syntax error~", 0, "-ERR syntax error~".to_owned()),
            ("+OK~", 0, "-ERR the backend's reply to SCAN cannot be understood~".to_owned()),
        ];
        for (part, cursor, expected) in cases {
            let mut out = Vec::new();
            scan_reply(part.replace('~', "\r\n").as_bytes(), &known.step(cursor), own, &mut out);
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
