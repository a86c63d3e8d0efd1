//! From a name to a command: two open-addressed hash tables, one for names of up to eight bytes packed
//! into a word, one for longer names. Case does not matter.

use super::command::CommandId;

/// Names up to this many bytes are compared as one word.
const PACKED_BYTES_MAX: usize = 8;
/// Buckets for each name, so that a search ends after one or two looks.
const BUCKETS_PER_NAME: usize = 4;
/// Spreads the bits of a packed name; an odd constant close to 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Marks a bucket without a name.
const VACANT: u16 = u16::MAX;

#[derive(Clone, Copy)]
struct Bucket {
    word: u64,
    len: u16,
    id: u16,
}

/// Its length is that of no name, so that not even the empty name is found in it.
const EMPTY_BUCKET: Bucket = Bucket { word: 0, len: u16::MAX, id: VACANT };

/// Which command has which name.
pub(super) struct NameIndex {
    short: Box<[Bucket]>,
    long: Box<[Bucket]>,
    /// The names of the buckets in `long`, by command id.
    long_names: Vec<(u16, Box<[u8]>)>,
}

impl NameIndex {
    /// Indexes names that are all in lower case and all different.
    pub(super) fn new<'a>(names: impl Iterator<Item = (CommandId, &'a str)> + Clone) -> NameIndex {
        let short_count = names.clone().filter(|(_, name)| name.len() <= PACKED_BYTES_MAX).count();
        let long_count = names.clone().count() - short_count;
        let mut short = vec![EMPTY_BUCKET; bucket_count(short_count)].into_boxed_slice();
        let mut long = vec![EMPTY_BUCKET; bucket_count(long_count)].into_boxed_slice();
        let mut long_names = Vec::with_capacity(long_count);
        for (id, name) in names {
            let bytes = name.as_bytes();
            let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            if bytes.len() <= PACKED_BYTES_MAX {
                insert(&mut short, Bucket { word: pack(bytes), len, id: id.0 });
            } else {
                // The bucket's id says which of the long names it is; the command is found there.
                let place = u16::try_from(long_names.len()).expect("fewer names than ids");
                insert(&mut long, Bucket { word: long_hash(bytes), len, id: place });
                long_names.push((id.0, bytes.into()));
            }
        }
        NameIndex { short, long, long_names }
    }

    /// The command of that name, in any case.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<CommandId> {
        if name.len() > PACKED_BYTES_MAX {
            return self.find_long(name);
        }
        let word = lower(pack(name));
        let mask = self.short.len() - 1;
        let mut at = place(word, self.short.len());
        loop {
            let bucket = self.short[at & mask];
            if bucket.word == word && usize::from(bucket.len) == name.len() {
                return Some(CommandId(bucket.id));
            }
            if bucket.id == VACANT {
                return None;
            }
            at += 1;
        }
    }

    fn find_long(&self, name: &[u8]) -> Option<CommandId> {
        let word = long_hash(name);
        let mask = self.long.len() - 1;
        let mut at = place(word, self.long.len());
        loop {
            let bucket = self.long[at & mask];
            if bucket.id == VACANT {
                return None;
            }
            if bucket.word == word {
                let (id, known) = &self.long_names[usize::from(bucket.id)];
                if known.eq_ignore_ascii_case(name) {
                    return Some(CommandId(*id));
                }
            }
            at += 1;
        }
    }
}

/// A power of two with room to spare, so that a search always meets a vacant bucket.
fn bucket_count(names: usize) -> usize {
    (names * BUCKETS_PER_NAME).max(BUCKETS_PER_NAME).next_power_of_two()
}

/// Where the search for a word begins, in a table of a power of two of buckets.
#[inline]
fn place(word: u64, buckets: usize) -> usize {
    (word.wrapping_mul(SPREAD) >> (u64::BITS - buckets.trailing_zeros())) as usize
}

fn insert(buckets: &mut [Bucket], bucket: Bucket) {
    let mask = buckets.len() - 1;
    let mut at = place(bucket.word, buckets.len());
    while buckets[at & mask].id != VACANT {
        at += 1;
    }
    buckets[at & mask] = bucket;
}

/// Up to eight bytes as one word, the first lowest, the rest zero. Never reads past the slice.
#[inline]
fn pack(bytes: &[u8]) -> u64 {
    if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Two loads that overlap cover 4 to 8 bytes.
        let shift = 8 * (bytes.len().min(PACKED_BYTES_MAX) - 4) as u32;
        return u64::from(u32::from_le_bytes(*head)) | u64::from(u32::from_le_bytes(*tail)) << shift;
    }
    match *bytes {
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a] => u64::from(a),
        _ => 0,
    }
}

/// Each byte of the word that is an ASCII capital becomes a small letter; no other byte changes.
#[inline]
fn lower(word: u64) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const EACH: u64 = 0x0101_0101_0101_0101;
    let seven = word & !HIGH;
    let from_a = seven + EACH * (0x80 - u64::from(b'A'));
    let past_z = seven + EACH * (0x7f - u64::from(b'Z'));
    let capital = (from_a ^ past_z) & !word & HIGH;
    word | capital >> 2
}

/// A hash of a name in any case, eight bytes at a time.
fn long_hash(name: &[u8]) -> u64 {
    name.chunks(PACKED_BYTES_MAX).fold(name.len() as u64, |hash, chunk| {
        (hash.rotate_left(5) ^ lower(pack(chunk))).wrapping_mul(SPREAD)
    })
}

#[cfg(test)]
mod tests {
    use super::{lower, pack};

    #[test]
    fn lower_changes_capitals_only() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let word = u64::from(byte) << (8 * place);
                assert_eq!(
                    lower(word),
                    u64::from(byte.to_ascii_lowercase()) << (8 * place),
                    "byte {byte} at {place}"
                );
            }
        }
    }

    #[test]
    fn pack_keeps_every_byte() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        for len in 0..=8 {
            let mut padded = [0; 8];
            padded[..len].copy_from_slice(&bytes[..len]);
            assert_eq!(pack(&bytes[..len]), u64::from_le_bytes(padded), "length {len}");
        }
    }
}
