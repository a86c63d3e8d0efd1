//! Rounds: each is played, looked at and judged.

use std::collections::BTreeMap;
use std::fmt;
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::disturbance::disturb;
use super::order::order;
use super::record::{Entry, Outcome, Record, SessionId};
use super::replay::{final_items, replay};
use super::script::{Script, script};
use super::sessions::play;
use super::stage::Stage;
use crate::chaos::workload::{Clock, kind};

/// The first round's seed, unless the environment says otherwise.
const SEED: u64 = 20_261_130;

/// How much is played.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first round's seed; each further one has the next number.
    pub seed: u64,
    /// How many rounds.
    pub rounds: u64,
}

impl Plan {
    /// A plan from the environment: `STRESS_SEED`, and `STRESS_ROUNDS` (else `rounds`).
    ///
    /// # Errors
    /// When a variable is not a number.
    pub fn from_environment(rounds: u64) -> Result<Self> {
        let number = |name: &str, otherwise: u64| match std::env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
            Err(_) => Ok(otherwise),
        };
        Ok(Self { seed: number("STRESS_SEED", SEED)?, rounds: number("STRESS_ROUNDS", rounds)? })
    }
}

/// What became of the requests of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that were answered.
    pub answered: usize,
    /// Requests of which errors said that they were not executed; by the error.
    pub refused: BTreeMap<String, usize>,
    /// Requests that may have been executed; by the error.
    pub unknown: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, record: &Record) {
        for entry in &record.entries {
            match &entry.outcome {
                Outcome::Answered(..) => self.answered += 1,
                Outcome::Refused(why) => *self.refused.entry(kind(why)).or_default() += 1,
                Outcome::Unknown(why) => *self.unknown.entry(kind(why)).or_default() += 1,
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} answered", self.answered)?;
        for (why, count) in &self.refused {
            writeln!(formatter, "{count} refused: {why}")?;
        }
        for (why, count) in &self.unknown {
            writeln!(formatter, "{count} of unknown outcome: {why}")?;
        }
        Ok(())
    }
}

/// Plays and judges the rounds of a plan; `test` is what replays them.
///
/// # Errors
/// When a round is judged wrong or could not be played, with its seed.
pub fn run(stage: &mut Stage, plan: Plan, test: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    println!("{test}: seeds {} to {}", plan.seed, plan.seed + plan.rounds);
    for seed in plan.seed..plan.seed + plan.rounds {
        let script = script(seed);
        let round = play_round(stage, &script).and_then(|record| {
            judge(stage, &record)?;
            Ok(record)
        });
        let record = round.with_context(|| {
            format!(
                "seed {seed}, disturbances {:?}\nreplay with: STRESS_SEED={seed} STRESS_ROUNDS=20 cargo nextest \
                 run -p testkit {test}",
                script.disturbances
            )
        })?;
        tally.count(&record);
        clean(stage, &record)?;
    }
    Ok(tally)
}

/// Plays a round and looks at what the nodes have in the end.
///
/// # Errors
/// When a reply is no answer, a server cannot be used, or the proxies do not serve again.
pub fn play_round(stage: &mut Stage, script: &Script) -> Result<Record> {
    let clock = Clock::start();
    let addresses: Vec<_> = stage.proxies.iter().map(crate::proxy::ProxyProcess::address).collect();
    let entries = thread::scope(|scope| {
        let sessions: Vec<_> = script
            .sessions
            .iter()
            .enumerate()
            .map(|(number, session)| {
                let address = addresses[session.proxy];
                scope.spawn(move || play(SessionId(number), address, session, clock))
            })
            .collect();
        // Here and not in a thread that ends: servers die with the thread that starts them.
        let disturbed = script.disturbances.iter().try_for_each(|deed| disturb(stage, *deed));
        let mut entries: Vec<Entry> = Vec::new();
        for session in sessions {
            entries.extend(session.join().map_err(|_| anyhow!("a session panicked"))??);
        }
        disturbed.map(|()| entries)
    })?;
    stage.wait_served()?;
    let mut record = Record { keys: script.keys.clone(), entries, finals: Vec::new() };
    for key in &record.keys {
        record.finals.push(final_items(&mut stage.at_node(key.part, key.database)?, key)?);
    }
    Ok(record)
}

/// Finds an order, and has plain Redis confirm it.
///
/// # Errors
/// What is wrong.
pub fn judge(stage: &Stage, record: &Record) -> Result<()> {
    let order = order(record)?;
    replay(&mut stage.plain.connect()?, record, &order)
}

/// Removes the lists of a round.
fn clean(stage: &Stage, record: &Record) -> Result<()> {
    for key in &record.keys {
        stage.at_node(key.part, key.database)?.call(&[b"DEL", key.name.as_bytes()])?;
    }
    Ok(())
}
