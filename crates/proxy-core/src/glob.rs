//! Redis's glob patterns: `*`, `?`, `[a-z]`, `[^x]` and `\` to take the next byte as it is.
//!
//! Used for CONFIG GET and COMMAND LIST, whose patterns come from clients; so the time is bounded by
//! pattern length times text length, whatever the pattern. Keys are never matched here, nodes do that.

/// Whether `text` as a whole matches `pattern`, ignoring ASCII case.
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    matches(pattern, text, true)
}

/// Whether `text` as a whole matches `pattern` to the letter.
pub fn matches_exactly(pattern: &[u8], text: &[u8]) -> bool {
    matches(pattern, text, false)
}

/// Only the last `*` is ever returned to: what an earlier one could still give, the last one gives too.
fn matches(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, read));
            at += 1;
            continue;
        }
        if let Some(used) = one(&pattern[at..], text[read], ignore_case) {
            at += used;
            read += 1;
            continue;
        }
        let Some((after_star, from)) = star else { return false };
        star = Some((after_star, from + 1));
        at = after_star;
        read = from + 1;
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// The length of the pattern's first item if `byte` matches it.
fn one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<usize> {
    let fold = |byte: u8| if ignore_case { byte.to_ascii_lowercase() } else { byte };
    let byte = fold(byte);
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let (used, inside) = class(&pattern[1..], byte, &fold);
            inside.then_some(1 + used)
        }
        b'\\' if pattern.len() > 1 => (fold(pattern[1]) == byte).then_some(2),
        literal => (fold(literal) == byte).then_some(1),
    }
}

/// A class after its `[`: its length with the `]`, and whether `byte` is in it. As in Redis, one that is never
/// closed ends with the pattern, and the ends of a range may come in either order.
fn class(class: &[u8], byte: u8, fold: &dyn Fn(u8) -> u8) -> (usize, bool) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    while let Some(&first) = class.get(at) {
        match (first, class.get(at + 1), class.get(at + 2)) {
            (b'\\', Some(&literal), _) => {
                found |= fold(literal) == byte;
                at += 2;
            }
            (b']', ..) => {
                at += 1;
                break;
            }
            (_, Some(b'-'), Some(&last)) => {
                let (low, high) = (fold(first.min(last)), fold(first.max(last)));
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= fold(first) == byte;
                at += 1;
            }
        }
    }
    (at, found != negated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        assert!(matches_ignoring_case(b"MAX[A-C]*", b"maxclients"));
        assert!(!matches_exactly(b"MAX*", b"maxclients"));
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
            matches_ignoring_case(&pattern, &text);
        }
    }
}
