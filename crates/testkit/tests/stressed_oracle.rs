//! Sessions that pipeline and read slowly, nodes that are stopped, killed and busy, slots that move between two proxies
//! that forward to each other: replies and final data are those of one order that keeps each session's own, in which
//! plain Redis gives the same.
//!
//! `STRESS_ROUNDS` makes a run longer, `STRESS_SEED` repeats one.

use anyhow::{Context, Result, ensure};
use testkit::history::Moment;
use testkit::stress::record::{Asked, Outcome, Record};
use testkit::stress::run::{Plan, judge, play_round, run};
use testkit::stress::script::{Script, script};
use testkit::stress::stage::Stage;

/// Rounds of one run, unless `STRESS_ROUNDS` says otherwise; each takes about a second.
const ROUNDS: u64 = 8;

#[test]
fn replies_and_data_are_those_of_some_order() -> Result<()> {
    let mut stage = Stage::start()?;
    let tally = run(&mut stage, Plan::from_environment(ROUNDS)?, "replies_and_data_are_those_of_some_order")?;
    println!("{tally}");
    let other: usize = tally.refused.values().chain(tally.unknown.values()).sum();
    ensure!(tally.answered > other, "most requests are answered, or nothing is shown");
    Ok(())
}

/// A list whose last two items are of two sessions that were answered, one after the other.
fn acknowledged(record: &Record) -> Result<(usize, &[Vec<u8>])> {
    let lists = record.finals.iter().enumerate().map(|(key, items)| (key, items.as_slice()));
    lists
        .max_by_key(|(_, items)| items.len())
        .filter(|(_, items)| items.len() > 2)
        .context("a list with items")
}

#[test]
fn a_fault_behind_the_proxies_back_is_found() -> Result<()> {
    const SEED: u64 = 7;
    let mut stage = Stage::start()?;
    let calm = Script { disturbances: Vec::new(), ..script(SEED) };
    let record = play_round(&mut stage, &calm)?;
    judge(&stage, &record)?;
    let (key, items) = acknowledged(&record)?;
    let name = record.keys[key].name.as_bytes();
    // What a proxy could do wrong, done to the data on the node: a push lost, executed twice, put before another.
    let mut direct = stage.at_node(record.keys[key].part, record.keys[key].database)?;
    let faults: [&[&[&[u8]]]; 3] = [
        &[&[b"LREM", name, b"1", &items[1]]],
        &[&[b"RPUSH", name, &items[0]]],
        &[&[b"LSET", name, b"0", &items[1]], &[b"LSET", name, b"1", &items[0]]],
    ];
    for fault in faults {
        for request in fault {
            ensure!(direct.call(request)?.error().is_none());
        }
        let mut faulty = record.clone();
        faulty.finals[key] = testkit::stress::replay::final_items(&mut direct, &record.keys[key])?;
        let found = judge(&stage, &faulty).expect_err("the fault is not found");
        println!("{}", found.to_string().lines().next().unwrap_or_default());
        direct.call(&[b"DEL", name])?;
        for item in items {
            direct.call(&[b"RPUSH", name, item])?;
        }
    }
    // And with the replies: two that are exchanged, one that is older than what was read before it was asked.
    let answered = |index: &usize| matches!(record.entries[*index].outcome, Outcome::Answered(..));
    let pushes: Vec<usize> = (0..record.entries.len())
        .filter(|index| matches!(record.entries[*index].request.asked, Asked::Push(..)))
        .filter(answered)
        .collect();
    let mut exchanged = record.clone();
    let different = |pair: &&[usize]| record.entries[pair[0]].outcome != record.entries[pair[1]].outcome;
    let pair =
        pushes.windows(2).filter(|pair| frame(&record, pair[0]) != frame(&record, pair[1])).find(different);
    let pair = pair.context("two pushes with other replies")?;
    exchanged.entries[pair[0]].outcome = record.entries[pair[1]].outcome.clone();
    exchanged.entries[pair[1]].outcome = record.entries[pair[0]].outcome.clone();
    ensure!(judge(&stage, &exchanged).is_err(), "exchanged replies are not found");
    let mut stale = record.clone();
    let late = |index: &usize| {
        let key = record.entries[*index].request.asked.key();
        let is_length = matches!(record.entries[*index].request.asked, Asked::Length(_));
        is_length
            && frame(&record, *index) != Some(b":0\r\n")
            && key.is_some()
            && record.entries[*index].call > Moment(0)
    };
    let read = (0..record.entries.len()).rev().find(late).context("a length that is not 0")?;
    let Outcome::Answered(_, end) = record.entries[read].outcome else { anyhow::bail!("it was answered") };
    stale.entries[read].outcome = Outcome::Answered(testkit::frame::Frame::new(b":0\r\n".to_vec()), end);
    ensure!(judge(&stage, &stale).is_err(), "a stale reply is not found");
    Ok(())
}

fn frame(record: &Record, index: usize) -> Option<&[u8]> {
    match &record.entries[index].outcome {
        Outcome::Answered(reply, _) => Some(reply.bytes()),
        Outcome::Refused(_) | Outcome::Unknown(_) => None,
    }
}
