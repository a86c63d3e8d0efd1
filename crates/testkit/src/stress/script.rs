//! What happens in one round, from a seed: what sessions ask and how they read, and what is done to nodes and slots.
//! The same seed always gives the same script; when things meet differs from run to run.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::disturbance::{Disturbance, disturbances};
use super::record::{Asked, Key, KeyId, Request};
use super::stage::{PARTS, PROXIES, big_key, big_value, tag};

/// Sessions of one round.
const SESSIONS: std::ops::RangeInclusive<usize> = 4..=8;
/// Pipelines of one session.
const STEPS: std::ops::RangeInclusive<usize> = 4..=8;
/// The longest pipeline.
const DEPTH_MAX: usize = 40;
/// How long a session rests before a pipeline, at most.
const PAUSE_MS_MAX: u64 = 120;
/// Databases that sessions use; most use the first.
const DATABASES: usize = 2;
/// Items this large go over connections of their own.
const LARGE_ITEM_BYTES: usize = 300_000;
/// A script that does what RPUSH does, as another way to the node.
const PUSH_SCRIPT: &str = "return redis.call('RPUSH', KEYS[1], ARGV[1])";

/// How a session reads the replies of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As they come.
    Prompt,
    /// It rests before each.
    Slow(Duration),
    /// It rests before the first, and asks for large values, too.
    Late(Duration),
}

/// One pipeline.
#[derive(Clone, Debug)]
pub struct Step {
    /// The rest before it.
    pub pause: Duration,
    /// How its replies are read.
    pub reading: Reading,
    /// What is sent at once.
    pub requests: Vec<Request>,
}

/// One session.
#[derive(Clone, Debug)]
pub struct SessionScript {
    /// The proxy that it is connected to.
    pub proxy: usize,
    /// The database that it selects.
    pub database: usize,
    /// Its pipelines.
    pub steps: Vec<Step>,
}

/// One round.
#[derive(Clone, Debug)]
pub struct Script {
    /// The lists.
    pub keys: Vec<Key>,
    /// The sessions, which run at the same time.
    pub sessions: Vec<SessionScript>,
    /// What is done meanwhile, one after the other.
    pub disturbances: Vec<Disturbance>,
}

/// The script of a seed.
#[must_use]
pub fn script(seed: u64) -> Script {
    let mut random = StdRng::seed_from_u64(seed);
    let places = (0..DATABASES).flat_map(|database| (0..PARTS).map(move |part| (database, part)));
    let keys: Vec<Key> = places
        .flat_map(|(database, part)| {
            ["a", "b"].map(|letter| Key { database, name: format!("{}:{seed}:{letter}", tag(part)), part })
        })
        .collect();
    let sessions =
        (0..random.random_range(SESSIONS)).map(|number| session(&mut random, &keys, number)).collect();
    let disturbances = disturbances(&mut random);
    Script { keys, sessions, disturbances }
}

fn session(random: &mut StdRng, keys: &[Key], number: usize) -> SessionScript {
    let database = if random.random_bool(0.25) { 1 } else { 0 };
    let own: Vec<KeyId> =
        (0..keys.len()).filter(|index| keys[*index].database == database).map(KeyId).collect();
    let mut asked = 0;
    let mut steps = Vec::new();
    for _ in 0..random.random_range(STEPS) {
        let pause = Duration::from_millis(random.random_range(0..=PAUSE_MS_MAX));
        let reading = match random.random_range(0..8) {
            0 => Reading::Slow(Duration::from_millis(random.random_range(1..=10))),
            1 => Reading::Late(Duration::from_millis(random.random_range(100..=600))),
            _ => Reading::Prompt,
        };
        let depth = if random.random_bool(0.3) { 1 } else { random.random_range(2..=DEPTH_MAX) };
        let mut requests = Vec::with_capacity(depth);
        for _ in 0..depth {
            asked += 1;
            requests.push(request(random, (keys, &own), &format!("{number}-{asked}"), reading));
        }
        steps.push(Step { pause, reading, requests });
    }
    SessionScript { proxy: random.random_range(0..PROXIES), database, steps }
}

fn request(random: &mut StdRng, (keys, own): (&[Key], &[KeyId]), item: &str, reading: Reading) -> Request {
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let key = own.choose(random).copied().unwrap_or(KeyId(0));
    let name = &keys[key.0].name;
    let push =
        |args: &[&str], item: &str| Request { args: words(args), asked: Asked::Push(key, item.to_owned()) };
    match random.random_range(0..100) {
        0..45 => push(&["RPUSH", name, item], item),
        45..52 => push(&["EVAL", PUSH_SCRIPT, "1", name, item], item),
        52 if random.random_bool(0.3) => {
            let large = format!("{item}:{}", "x".repeat(LARGE_ITEM_BYTES));
            push(&["RPUSH", name, &large], &large)
        }
        52..64 => Request { args: words(&["LRANGE", name, "0", "-1"]), asked: Asked::Items(key) },
        64..86 => Request { args: words(&["LLEN", name]), asked: Asked::Length(key) },
        86..96 => {
            let echo = format!("${}\r\n{item}\r\n", item.len());
            Request { args: words(&["PING", item]), asked: Asked::Aside(Some(echo.into_bytes())) }
        }
        96..99 if matches!(reading, Reading::Late(_)) && keys[key.0].database == 0 => {
            let big = big_key(keys[key.0].part);
            let mut reply = Vec::new();
            resp::encode::bulk(&mut reply, &big_value(&big));
            Request { args: words(&["GET", &big]), asked: Asked::Aside(Some(reply)) }
        }
        // Its parts come from all nodes.
        _ => Request { args: words(&["DBSIZE"]), asked: Asked::Aside(None) },
    }
}
