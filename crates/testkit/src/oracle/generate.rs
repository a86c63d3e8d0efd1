//! Random scripts from a seed: the same seed always gives the same script.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::compare::Comparison;
use super::fill::Filler;
use super::script::{Form, Request, Script, Step};
use super::vocabulary::{FAMILIES, Family, Line};

/// Sessions of one script.
const SESSIONS_MAX: usize = 4;
/// Pipelines of one script.
const STEPS_MAX: usize = 24;
/// Writes into which one pipeline is cut, at most.
const CUTS_MAX: usize = 6;
/// The longest pipeline.
const DEPTH_MAX: usize = 200;
/// A request is written inline only below this size; Redis's own bound for a line is 64 KiB.
const INLINE_BYTES_MAX: usize = 4096;

/// What a script may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything; commands with several keys name keys of one slot.
    OneSlot,
    /// Commands with several keys mostly span slots, and database 0 is the only one, as in Redis Cluster.
    Scattered,
}

/// Commands that draw random numbers, or stop half-way, once they are cut short or a number in them is changed.
const FRAGILE: &[&str] =
    &["SPOP", "SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "SCAN", "HSCAN", "SSCAN", "ZSCAN", "XADD"];

/// Requests that bring no reply of their own, followed by one that does.
const SILENT: &[&[u8]] = &[b"\r\nPING\r\n", b"*0\r\nPING\r\n", b"*-1\r\n\nPING\n", b"  \r\nping  \r\n"];

/// Requests after which Redis closes the connection: protocol errors, each with its own text, and QUIT.
const CLOSING: &[&[u8]] = &[
    b"*1\r\n$4\r\nQUIT\r\n",
    b"*x\r\n",
    b"*2147483648\r\n",
    b"*2\r\n$3\r\nGET\r\n!1\r\na\r\n",
    b"*1\r\n$-5\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$x\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n:5\r\n",
    b"SET a \"unbalanced\r\n",
    b"'also\r\n",
];

/// Builds the script of a seed.
#[must_use]
pub fn generate(seed: u64, kind: Kind) -> Script {
    let mut random = StdRng::seed_from_u64(seed);
    let sessions = random.random_range(1..=SESSIONS_MAX);
    let concurrent = sessions > 1 && random.random_bool(0.4);
    let mut filler = Filler::new(kind == Kind::Scattered);
    let mut steps = Vec::new();
    for _ in 0..random.random_range(1..=STEPS_MAX) {
        let session = random.random_range(0..sessions);
        filler.keys_of = concurrent.then_some(session);
        steps.push(step(&mut random, &mut filler, (kind, session)));
    }
    Script { steps, concurrent, one_database: kind == Kind::Scattered }
}

fn step(random: &mut StdRng, filler: &mut Filler, (kind, session): (Kind, usize)) -> Step {
    let depth = match random.random_range(0..10) {
        0..4 => 1,
        4..7 => random.random_range(2..=10),
        7..9 => random.random_range(11..=50),
        _ => random.random_range(51..=DEPTH_MAX),
    };
    let mut requests: Vec<Request> = (0..depth).map(|_| request(random, filler, (kind, depth))).collect();
    let closes = random.random_bool(0.04);
    if closes {
        // Redis 8.2 does not close at all when what breaks the protocol arrives while it is flushing.
        requests.retain(|request| !request.args[0].to_ascii_uppercase().starts_with(b"FLUSH"));
    }
    if closes && let Some(bytes) = CLOSING.choose(random) {
        let closing = Request::new(vec![bytes.to_vec()]);
        requests.push(Request { form: Form::Raw, ..closing });
    }
    let cuts = if random.random_bool(0.5) { random.random_range(0..=CUTS_MAX) } else { 0 };
    Step { session, requests, cuts: (0..cuts).map(|_| random.random_range(0..usize::MAX)).collect(), closes }
}

fn request(random: &mut StdRng, filler: &mut Filler, (kind, depth): (Kind, usize)) -> Request {
    if random.random_bool(0.01)
        && let Some(bytes) = SILENT.choose(random)
    {
        return Request { form: Form::Raw, ..Request::new(vec![bytes.to_vec()]) };
    }
    let family = family(random, filler.keys_of.is_none());
    let fits = |line: &&Line| {
        let one_database = !(line.words.contains("<db>") || line.words.contains("SELECT"));
        // Redis since 7.2 forgets the error of a failed AUTH altogether while earlier replies are unsent.
        (kind == Kind::OneSlot || one_database) && (depth == 1 || !line.words.contains("AUTH"))
    };
    let lines: Vec<&Line> = family.lines.iter().filter(fits).collect();
    let Some(line) = lines.choose(random) else { return Request::new(vec![b"PING".to_vec()]) };
    filler.begin(random, family.name, line.words);
    let args = filler.fill(random, line.words);
    let mut request = Request { comparison: line.comparison, ..Request::new(args) };
    disturb(random, filler, &mut request);
    if random.random_bool(0.1) {
        let changed = request.args[0]
            .iter()
            .map(|byte| if random.random_bool(0.5) { byte.to_ascii_lowercase() } else { *byte });
        request.args[0] = changed.collect();
    }
    let bytes: usize = request.args.iter().map(Vec::len).sum();
    if bytes < INLINE_BYTES_MAX && random.random_bool(0.08) {
        request.form = Form::Inline;
    }
    request
}

/// Now and then makes a request wrong: too short, too long, unknown, or with a word that makes no sense.
fn disturb(random: &mut StdRng, filler: &Filler, request: &mut Request) {
    let args = &mut request.args;
    if FRAGILE.iter().any(|name| name.as_bytes() == args[0]) {
        return;
    }
    match random.random_range(0..100) {
        0..5 if args.len() > 1 => args.truncate(random.random_range(1..args.len())),
        // What is added hashes like the command's keys, so that it may be taken for one.
        5..8 => args.push(filler.extra_key()),
        8..10 => {
            let length = random.random_range(1..160);
            args[0] = (0..length).map(|_| random.random_range(b'!'..=b'~')).collect();
            // An unknown name must stay unknown, and must not begin like one that is known.
            args[0].insert(0, b'@');
            request.comparison = Comparison::Exact;
        }
        10..12 if filler.plain_args().next().is_some() => {
            let plain: Vec<usize> = filler.plain_args().filter(|place| *place < args.len()).collect();
            let fits: Vec<&[u8]> = JUNK.iter().copied().filter(|junk| may_take(&args[0], junk)).collect();
            if let (Some(place), Some(junk)) = (plain.choose(random), fits.choose(random)) {
                args[*place] = junk.to_vec();
            }
        }
        _ => {}
    }
}

/// Whether a request of this command may hold this junk. A client's name may not hold a NUL: Redis 7.0 refuses it, and
/// since 7.2 looks at a name only up to the first NUL, so that versions differ in what is a name at all.
fn may_take(command: &[u8], junk: &[u8]) -> bool {
    !(junk.contains(&0) && matches!(command, b"CLIENT" | b"HELLO"))
}

/// What takes the place of a number or an option.
const JUNK: &[&[u8]] = &[
    b"",
    b"abc",
    b"-1",
    b"99999999999999999999",
    b"9223372036854775807",
    b"1.5",
    b"nan",
    b"\x00\xff\r\n",
    b"NX",
];

fn family(random: &mut StdRng, global: bool) -> &'static Family {
    let allowed = || FAMILIES.iter().filter(move |family| global || !family.global);
    let total: u32 = allowed().map(|family| family.weight).sum();
    let mut ticket = random.random_range(0..total);
    for family in allowed() {
        if ticket < family.weight {
            return family;
        }
        ticket -= family.weight;
    }
    &FAMILIES[0]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_script() {
        let print = |seed| generate(seed, Kind::OneSlot).to_string();
        assert_eq!(print(7), print(7));
        assert_ne!(print(7), print(8));
    }

    #[test]
    fn scripts_cover_what_they_should() {
        let scripts: Vec<Script> = (0..300).map(|seed| generate(seed, Kind::OneSlot)).collect();
        let requests = || scripts.iter().flat_map(|script| &script.steps).flat_map(|step| &step.requests);
        let names: BTreeSet<String> =
            requests().map(|request| String::from_utf8_lossy(&request.args[0]).to_uppercase()).collect();
        for line in FAMILIES.iter().flat_map(|family| family.lines) {
            let name = line.words.split(' ').next().unwrap();
            assert!(names.contains(name), "{name} is never played");
        }
        assert!(
            scripts.iter().any(|script| script.concurrent) && scripts.iter().any(|script| !script.concurrent)
        );
        assert!(scripts.iter().flat_map(|script| &script.steps).any(|step| step.requests.len() > 150));
        assert!(requests().any(|request| request.form == Form::Inline));
        let largest = requests().flat_map(|request| &request.args).map(Vec::len).max().unwrap();
        assert!(largest >= 1 << 20, "the largest argument has {largest} bytes");
        assert!(requests().flat_map(|request| &request.args).any(Vec::is_empty));
    }

    #[test]
    fn sessions_that_run_together_share_no_key() {
        let scripts = (0..200).map(|seed| generate(seed, Kind::Scattered)).filter(|script| script.concurrent);
        for step in scripts.flat_map(|script| script.steps) {
            let own = format!("{{s{}t", step.session);
            for arg in step.requests.iter().flat_map(|request| &request.args) {
                // A key begins with {s1t0} or, where sessions share keys, with {t0}; random values hardly do.
                let text = String::from_utf8_lossy(arg);
                let foreign = (0..SESSIONS_MAX).any(|session| text.starts_with(&format!("{{s{session}t")));
                assert!(!foreign || text.starts_with(&own), "{text} in session {}", step.session);
                let shared = (0..9).any(|tag| text.starts_with(&format!("{{t{tag}}}")));
                assert!(!shared, "a shared key in a concurrent script: {text}");
            }
        }
    }
}
