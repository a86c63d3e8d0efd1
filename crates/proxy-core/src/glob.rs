//! Redis's glob patterns: `*`, `?`, `[a-z]`, `[^x]` and `\` to take the next byte as it is.
//!
//! Used for CONFIG GET and COMMAND LIST, whose patterns come from clients. So a pattern is read once, however many texts
//! it is matched with, and then a text costs no more than its own length squared, whatever the pattern. Keys are never
//! matched here, nodes do that.

/// Whether letters of both cases are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `a` is not `A`.
    Exact,
    /// `a` is `A`, as far as ASCII goes.
    Ignored,
}

/// A pattern matches no text that is longer, so that of a long pattern only this many items are kept.
const TEXT_BYTES_MAX: usize = 512;

/// A pattern that has been read.
#[derive(Debug, Clone)]
pub struct Pattern {
    case: Case,
    /// No two stars follow each other.
    items: Vec<Item>,
    /// How many bytes a text has at least.
    bytes_min: usize,
}

#[derive(Debug, Clone)]
enum Item {
    /// Any bytes, or none.
    Star,
    /// Any byte.
    Any,
    /// This byte.
    Byte(u8),
    /// One of these bytes.
    Class(Box<ByteSet>),
}

impl Pattern {
    /// Reads a pattern, in time that grows with its length alone.
    #[must_use]
    pub fn new(pattern: &[u8], case: Case) -> Pattern {
        let mut read = Pattern { case, items: Vec::new(), bytes_min: 0 };
        let mut at = 0;
        while at < pattern.len() && read.bytes_min <= TEXT_BYTES_MAX {
            let (used, item) = item(&pattern[at..], case);
            at += used;
            match item {
                Item::Star if matches!(read.items.last(), Some(Item::Star)) => continue,
                Item::Star => {}
                Item::Any | Item::Byte(_) | Item::Class(_) => read.bytes_min += 1,
            }
            read.items.push(item);
        }
        read
    }

    /// Whether `text` as a whole matches. Texts of more than 512 bytes do not.
    ///
    /// Only the last `*` is ever returned to: what an earlier one could still give, the last one gives too.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        if text.len() < self.bytes_min || text.len() > TEXT_BYTES_MAX {
            return false;
        }
        let (mut at, mut read) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while read < text.len() {
            match self.items.get(at) {
                Some(Item::Star) => {
                    star = Some((at + 1, read));
                    at += 1;
                }
                Some(item) if item.has(self.case.fold(text[read])) => {
                    at += 1;
                    read += 1;
                }
                Some(_) | None => {
                    let Some((after_star, from)) = star else { return false };
                    star = Some((after_star, from + 1));
                    at = after_star;
                    read = from + 1;
                }
            }
        }
        self.items[at..].iter().all(|item| matches!(item, Item::Star))
    }
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Case::Exact => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        }
    }
}

impl Item {
    /// Whether it stands for this byte, which is folded.
    fn has(&self, byte: u8) -> bool {
        match self {
            Item::Star => false,
            Item::Any => true,
            Item::Byte(literal) => *literal == byte,
            Item::Class(set) => set.has(byte),
        }
    }
}

/// The first item of a pattern that is not empty, and its length.
fn item(pattern: &[u8], case: Case) -> (usize, Item) {
    match *pattern {
        [b'*', ..] => (1, Item::Star),
        [b'?', ..] => (1, Item::Any),
        [b'[', ref class @ ..] => {
            let (used, set) = read_class(class, case);
            (1 + used, Item::Class(Box::new(set)))
        }
        [b'\\', literal, ..] => (2, Item::Byte(case.fold(literal))),
        [literal, ..] => (1, Item::Byte(case.fold(literal))),
        [] => (0, Item::Star),
    }
}

/// A class after its `[`: its length with the `]`, and the folded bytes in it. As in Redis, one that is never closed ends
/// with the pattern, and the ends of a range may come in either order.
fn read_class(class: &[u8], case: Case) -> (usize, ByteSet) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut set = ByteSet::default();
    while let Some(&first) = class.get(at) {
        match (first, class.get(at + 1), class.get(at + 2)) {
            (b'\\', Some(&literal), _) => {
                set.add(case.fold(literal), case.fold(literal));
                at += 2;
            }
            (b']', ..) => {
                at += 1;
                break;
            }
            (_, Some(b'-'), Some(&last)) => {
                set.add(case.fold(first.min(last)), case.fold(first.max(last)));
                at += 3;
            }
            _ => {
                set.add(case.fold(first), case.fold(first));
                at += 1;
            }
        }
    }
    if negated {
        set.invert();
    }
    (at, set)
}

/// Some of the 256 bytes, the lower half of them first.
#[derive(Debug, Clone, Default)]
struct ByteSet([u128; 2]);

impl ByteSet {
    /// Adds a range; `None` where its ends are in the wrong order.
    fn add(&mut self, low: u8, high: u8) {
        /// The bytes of one half up to `last`, or none of them.
        fn up_to(last: Option<u8>, half: u8) -> u128 {
            match last.and_then(|last| last.checked_sub(half * 128)) {
                None => 0,
                Some(last) => u128::MAX >> (127 - last.min(127)),
            }
        }
        if low <= high {
            for half in 0..2 {
                let bits = up_to(Some(high), half) & !up_to(low.checked_sub(1), half);
                self.0[usize::from(half)] |= bits;
            }
        }
    }

    fn invert(&mut self) {
        self.0 = self.0.map(|half| !half);
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 128)] >> (byte % 128) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches_exactly(pattern: &[u8], text: &[u8]) -> bool {
        Pattern::new(pattern, Case::Exact).matches(text)
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("slowlog-*", "slowlog-max-len", true),
            ("*len", "slowlog-max-len", true),
            ("*log*len*", "slowlog-max-len", true),
            ("*log*lex*", "slowlog-max-len", false),
            ("a*b*c", "aXbXbXc", true),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[abc", "c", true),
            ("[a\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("x\\", "x\\", true),
            ("[]", "a", false),
        ] {
            assert_eq!(matches_exactly(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        let ignoring = |pattern: &[u8], text: &[u8]| Pattern::new(pattern, Case::Ignored).matches(text);
        assert!(ignoring(b"MAX[A-C]*", b"maxclients") && ignoring(b"max[a-c]*", b"MAXCLIENTS"));
        assert!(ignoring(b"\\MAX", b"max") && !ignoring(b"[^M]AX", b"max"));
        assert!(!matches_exactly(b"MAX*", b"maxclients"));
    }

    #[test]
    fn ranges() {
        for (low, high) in
            [(0, 0), (0, 255), (127, 128), (128, 128), (5, 200), (200, 255), (1, 127), (9, 8), (255, 0)]
        {
            let mut set = ByteSet::default();
            set.add(low, high);
            let has: Vec<u8> = (0..=255).filter(|&byte| set.has(byte)).collect();
            assert_eq!(has, (low..=high).collect::<Vec<u8>>(), "{low} to {high}");
            set.invert();
            assert_eq!((0..=255).filter(|&byte| set.has(byte)).count(), 256 - has.len());
        }
    }

    /// A client's pattern may have megabytes: each is looked at once, not for each byte of each name.
    #[test]
    fn a_long_pattern_is_read_once() {
        const BYTES: usize = 2_000_000;
        let names: Vec<String> = (0..1000).map(|name| format!("a-command-with-a-long-name-{name}")).collect();
        let repeated = |start: &str, rest: &str| [start, &rest.repeat(BYTES / rest.len())].concat();
        for (long, expected) in [
            (repeated("*[", "#"), 0),
            (repeated("*[", "a-z0-9"), 1000),
            (repeated("", "*"), 1000),
            (repeated("", "*?"), 0),
            (repeated("*", "[^#]"), 0),
            (repeated("*", "[^#]*"), 0),
        ] {
            let pattern = Pattern::new(long.as_bytes(), Case::Ignored);
            let matching = names.iter().filter(|name| pattern.matches(name.as_bytes())).count();
            assert_eq!(matching, expected, "{}", &long[..10]);
            assert!(pattern.items.len() <= 2 * TEXT_BYTES_MAX + 3, "{} items are kept", pattern.items.len());
        }
    }

    /// The definition, in exponential time.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), _) => slow(&pattern[1..], text) || (!text.is_empty() && slow(pattern, &text[1..])),
            (Some(b'?'), Some(_)) => slow(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) => a == b && slow(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(
                matches_exactly(pattern.as_bytes(), text.as_bytes()),
                slow(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn never_panics(pattern: Vec<u8>, text: Vec<u8>) {
            let _ = Pattern::new(&pattern, Case::Ignored).matches(&text);
        }
    }
}
