//! The oracle: random pipelines, played against Redis itself and against what is tested, must give the same bytes.
//!
//! A difference is reported with the seed, the command that replays it, and the smallest script that still shows
//! it.

pub mod compare;
mod fill;
pub mod generate;
pub mod play;
pub mod script;
mod shrink;
pub mod vocabulary;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use generate::{Kind, generate};
use play::{Mismatch, Targets, play};
use script::Script;
use shrink::shrink;
use vocabulary::SETTINGS;

use crate::binary::ServerBinary;
use crate::redis_server::{RedisOptions, RedisServer};

/// How much is played.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first script's seed; each further one has the next number.
    pub seed: u64,
    /// How many scripts.
    pub rounds: u64,
    /// What the scripts hold.
    pub kind: Kind,
}

impl Plan {
    /// A plan from the environment: `ORACLE_SEED` (a number, or `new` for one of the clock's; else always the same, so
    /// that a change is judged by itself) and `ORACLE_ROUNDS` (else `rounds`).
    ///
    /// # Errors
    /// When a variable is not a number.
    pub fn from_environment(rounds: u64, kind: Kind) -> Result<Self> {
        let number = |name: &str| match std::env::var(name) {
            Ok(text) => text.parse().map(Some).with_context(|| format!("{name} is not a number: {text}")),
            Err(_) => Ok(None),
        };
        // Thirty-two bits of the clock are enough to be new at each run, and short to type.
        let new = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.subsec_nanos().into());
        let seed = match std::env::var("ORACLE_SEED").as_deref() {
            Ok("new") => new(),
            _ => number("ORACLE_SEED")?.unwrap_or(SEED),
        };
        Ok(Self { seed, rounds: number("ORACLE_ROUNDS")?.unwrap_or(rounds), kind })
    }
}

/// Where seeds begin unless the environment says otherwise.
const SEED: u64 = 20_261_122;

/// Differences after which a run ends; each concerns another command.
const DIFFERENCES_MAX: usize = 8;

/// Starts a server that takes part, as a cluster of its own where that is asked for.
///
/// # Errors
/// When it cannot be started.
pub fn server(binary: ServerBinary, cluster: bool) -> Result<RedisServer> {
    let mut options = RedisOptions { cluster, ..RedisOptions::of(binary) };
    for (name, value) in SETTINGS {
        options = options.with(name, value);
    }
    RedisServer::start(options)
}

/// Plays a plan; `test` is the name of the test, for the command that replays a difference.
///
/// # Errors
/// When an answer differs, or the servers cannot be used. A few differences are gathered before the run ends.
pub fn run(targets: &Targets, plan: Plan, test: &str) -> Result<()> {
    println!("{test}: seeds {} to {}", plan.seed, plan.seed + plan.rounds);
    let mut requests = 0;
    let mut differences: BTreeMap<String, String> = BTreeMap::new();
    for seed in plan.seed..plan.seed + plan.rounds {
        let script = generate(seed, plan.kind);
        requests += script.requests();
        let found = play(targets, &script).with_context(|| format!("seed {seed}"))?;
        let Some(mismatch) = found else { continue };
        if differences.contains_key(&mismatch.command) {
            continue;
        }
        let report = report(targets, (seed, test), &mismatch, script)?;
        differences.insert(mismatch.command, report);
        if differences.len() == DIFFERENCES_MAX {
            break;
        }
    }
    if differences.is_empty() {
        println!("{test}: {requests} requests answered alike");
        return Ok(());
    }
    let reports: Vec<String> = differences.into_values().collect();
    bail!("{}", reports.join("\n========\n"))
}

fn report(targets: &Targets, (seed, test): (u64, &str), found: &Mismatch, script: Script) -> Result<String> {
    let small = shrink(script, |smaller| matches!(play(targets, smaller), Ok(Some(_))));
    let last = play(targets, &small)?.map_or_else(|| "(not every time)".to_owned(), |again| again.what);
    Ok(format!(
        "seed {seed}, step {}, request {}: {}\nreplay with: ORACLE_SEED={seed} ORACLE_ROUNDS=1 cargo nextest run \
         -p testkit {test}\nthe smallest script that shows a difference:\n{small}{last}",
        found.step, found.request, found.what
    ))
}
