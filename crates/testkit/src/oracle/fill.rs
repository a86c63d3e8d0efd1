//! Fills the holes of a command line: keys that meet again, values of every size, numbers and words that fit.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::vocabulary::{DUMPS, FAMILIES, LIBRARY, LUA, SHA};

/// Keys of one family under one hash tag; few, so that commands meet.
const KEYS: u32 = 4;
/// Hash tags.
const TAGS: u32 = 4;
/// Values of at least this many bytes are large; a script has few of them.
const LARGE_BYTES: usize = 8 * 1024;
/// Bytes of large values in one script.
const LARGE_BUDGET_BYTES: usize = 8 << 20;
/// Sizes at which a proxy may begin to do things differently, and the largest that is played.
const LARGE_SIZES: &[usize] =
    &[8 << 10, (16 << 10) - 1, 16 << 10, (16 << 10) + 1, 40_000, 64 << 10, 100_000, 256 << 10, 1 << 20];
/// Seconds since 1970 that are far in the future.
const TIMES: &[&str] = &["4102444800", "4102448400", "4102444801"];

/// Keys that look odd; used only where a command has one key.
const ODD_KEYS: &[&[u8]] = &[
    b"",
    b"{}",
    b"{",
    b"}{",
    b"{}x",
    b"a{b}c{d}",
    b"{{nested}}",
    b"\x00\xff\r\n\x01",
    b" space ",
    b"k",
    &[b'L'; 300],
];

/// Fills lines. Its state is the tag and family of the line at hand and what is left of the budget.
#[derive(Debug)]
pub(super) struct Filler {
    /// The session that the keys must belong to, where sessions run at the same time.
    pub(super) keys_of: Option<usize>,
    large_bytes_left: usize,
    tag: String,
    family: &'static str,
    single_key: bool,
    /// Whether each key of a line has a hash tag of its own, so that most lines span several slots.
    scattered: bool,
    odd_key: Option<&'static [u8]>,
    plain: Vec<usize>,
}

impl Filler {
    /// A filler with a whole budget of large values.
    #[must_use]
    pub(super) fn new(scattered: bool) -> Self {
        Self {
            keys_of: None,
            large_bytes_left: LARGE_BUDGET_BYTES,
            tag: String::new(),
            family: "",
            single_key: true,
            scattered,
            odd_key: None,
            plain: Vec::new(),
        }
    }

    /// Chooses the tag and the type of key for the line that is filled next.
    pub(super) fn begin(&mut self, random: &mut StdRng, family: &'static str, words: &str) {
        self.tag = self.choose_tag(random);
        self.odd_key = None;
        self.family = family;
        self.single_key = words.matches("key").count() == 1 && words.contains("<key>");
        self.plain.clear();
    }

    /// The arguments for a line.
    pub(super) fn fill(&mut self, random: &mut StdRng, words: &'static str) -> Vec<Vec<u8>> {
        let mut args = Vec::new();
        for word in words.split(' ') {
            match word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                Some(hole) => self.hole(random, hole, &mut args),
                None => args.push(word.as_bytes().to_vec()),
            }
        }
        args
    }

    /// One more key that hashes like the others of this line.
    #[must_use]
    pub(super) fn extra_key(&self) -> Vec<u8> {
        match self.odd_key {
            Some(key) => key.to_vec(),
            None => format!("{}extra", self.tag).into_bytes(),
        }
    }

    /// Places of the last line's arguments that are neither keys nor fixed words.
    pub(super) fn plain_args(&self) -> impl Iterator<Item = usize> {
        self.plain.iter().copied()
    }

    fn choose_tag(&self, random: &mut StdRng) -> String {
        let number = random.random_range(0..TAGS);
        match self.keys_of {
            Some(session) => format!("{{s{session}t{number}}}"),
            None => format!("{{t{number}}}"),
        }
    }

    fn hole(&mut self, random: &mut StdRng, hole: &str, args: &mut Vec<Vec<u8>>) {
        match hole {
            "key" => args.push(self.key(random)),
            "keys" => self.several(random, args, Self::key),
            "numkeys" => {
                let count = random.random_range(1..=4);
                args.push(format!("{count}").into_bytes());
                args.extend((0..count).map(|_| self.key(random)));
            }
            "keyvalues" => {
                for _ in 0..random.random_range(1..=4) {
                    args.push(self.key(random));
                    args.push(self.value(random));
                }
            }
            "values" => self.several(random, args, Self::value),
            "members" => self.several(random, args, |_, random| member(random)),
            "fieldvalues" => {
                for _ in 0..random.random_range(1..=4) {
                    args.push(member(random));
                    args.push(self.value(random));
                }
            }
            "scoremembers" => {
                for _ in 0..random.random_range(1..=4) {
                    args.push(score(random));
                    args.push(member(random));
                }
            }
            "value" => args.push(self.value(random)),
            single => {
                self.plain.push(args.len());
                args.push(one(random, single));
            }
        }
    }

    fn several(
        &mut self,
        random: &mut StdRng,
        args: &mut Vec<Vec<u8>>,
        one: impl Fn(&mut Self, &mut StdRng) -> Vec<u8>,
    ) {
        let count =
            if random.random_bool(0.03) { random.random_range(20..120) } else { random.random_range(1..=4) };
        for _ in 0..count {
            let arg = one(self, random);
            args.push(arg);
        }
    }

    fn key(&mut self, random: &mut StdRng) -> Vec<u8> {
        let alone = self.keys_of.is_none() && self.single_key;
        if alone
            && random.random_bool(0.06)
            && let Some(key) = ODD_KEYS.choose(random)
        {
            self.odd_key = Some(key);
            return key.to_vec();
        }
        if self.scattered && random.random_bool(0.5) {
            self.tag = self.choose_tag(random);
        }
        // Mostly a key of the right type; sometimes another one's, for the WRONGTYPE errors.
        let own = !matches!(self.family, "any" | "session" | "server" | "script") && random.random_bool(0.9);
        let family = match FAMILIES.choose(random) {
            Some(other) if !own => other.name,
            _ => self.family,
        };
        format!("{}{family}{}", self.tag, random.random_range(0..KEYS)).into_bytes()
    }

    fn value(&mut self, random: &mut StdRng) -> Vec<u8> {
        let wanted = match random.random_range(0..100) {
            0..4 => 0,
            4..70 => random.random_range(1..20),
            70..92 => random.random_range(20..200),
            92..98 => random.random_range(200..LARGE_BYTES),
            _ => LARGE_SIZES.choose(random).copied().unwrap_or(LARGE_BYTES),
        };
        let size = if wanted < LARGE_BYTES || wanted <= self.large_bytes_left { wanted } else { 10 };
        if size >= LARGE_BYTES {
            self.large_bytes_left -= size;
        }
        bytes(random, size)
    }
}

/// Any bytes, or text, or text full of what separates RESP's parts.
fn bytes(random: &mut StdRng, size: usize) -> Vec<u8> {
    match random.random_range(0..3) {
        0 => (0..size).map(|_| random.random()).collect(),
        1 => (0..size).map(|_| random.random_range(b'a'..=b'z')).collect(),
        _ => (0..size).map(|_| *b"\r\n$*-+:0123".choose(random).unwrap_or(&b'.')).collect(),
    }
}

fn member(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..20) {
        0 => random.random_range(-3i32..300).to_string().into_bytes(),
        1 => bytes(random, 5),
        _ => vec![random.random_range(b'a'..=b'h')],
    }
}

fn score(random: &mut StdRng) -> Vec<u8> {
    match random.random_range(0..10) {
        0 => b"inf".to_vec(),
        1 => b"-inf".to_vec(),
        2..5 => float(random),
        _ => random.random_range(-5i32..10).to_string().into_bytes(),
    }
}

fn float(random: &mut StdRng) -> Vec<u8> {
    format!("{}", f64::from(random.random_range(-80_000i32..80_000)) / 64.0).into_bytes()
}

/// Fills a hole that takes exactly one plain argument.
fn one(random: &mut StdRng, hole: &str) -> Vec<u8> {
    let pick = |random: &mut StdRng, words: &[&str]| words.choose(random).unwrap_or(&"").as_bytes().to_vec();
    match hole {
        "int" => pick(
            random,
            &["0", "1", "-1", "7", "100", "65536", "9223372036854775800", "-9223372036854775800"],
        ),
        "float" => float(random),
        "score" => score(random),
        "member" => member(random),
        "index" => random.random_range(-6i32..7).to_string().into_bytes(),
        "count" => random.random_range(1..6).to_string().into_bytes(),
        "offset" => random.random_range(0..2000).to_string().into_bytes(),
        "bit" => random.random_range(0..2).to_string().into_bytes(),
        "db" => random.random_range(0..4).to_string().into_bytes(),
        "time" => pick(random, TIMES),
        "id" => format!("{}-{}", random.random_range(1..40), random.random_range(0..3)).into_bytes(),
        "group" => pick(random, &["g1", "g2"]),
        "name" => pick(random, &["alice", "bob", "has space", ""]),
        "longitude" => format!("{}", f64::from(random.random_range(-1790i32..1790)) / 10.0).into_bytes(),
        "latitude" => format!("{}", f64::from(random.random_range(-850i32..850)) / 10.0).into_bytes(),
        "script" => pick(random, LUA),
        "sha" => SHA.1.as_bytes().to_vec(),
        "library" => LIBRARY.as_bytes().to_vec(),
        "dump" => DUMPS.choose(random).copied().unwrap_or_default().to_vec(),
        unknown => unreachable!("no hole is called {unknown}"),
    }
}
