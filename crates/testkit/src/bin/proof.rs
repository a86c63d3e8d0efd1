//! `proof`: what failover promises, measured on real processes; see docs/testing.md. Ends with 1 when a promise was not
//! kept.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use serde::Serialize;
use testkit::proof::partitions::{self, Kind, PartitionsPlan, WritesTo};
use testkit::proof::survivors::{self, SetUp};
use testkit::proof::targets::{self, TargetsPlan};

/// Measures what failover promises: prints a table, and JSON in its last line.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    proof: Proof,
    /// Writes the JSON to this file instead.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Proof {
    /// How long it takes until writes are taken again after a death, and that deaths of the control plane are not felt.
    Targets {
        /// How often each single thing dies.
        #[arg(long, default_value_t = 20)]
        runs: usize,
        /// How often half of all hosts die at once.
        #[arg(long, default_value_t = 3)]
        half_runs: usize,
        /// How many hosts there are of which half die, an even number.
        #[arg(long, default_value_t = 160)]
        hosts: usize,
        /// Measures only what has these words in its name, such as "host killed" or "broker".
        #[arg(long)]
        only: Option<String>,
    },
    /// That nobody is told OK by an old primary once another takes writes, in partitions of all kinds.
    Partitions {
        /// How many partitions.
        #[arg(long, default_value_t = 500)]
        runs: usize,
        /// How many clusters are tried side by side.
        #[arg(long, default_value_t = 2)]
        lanes: usize,
        /// Decides when something hangs, and for how long; a new one when not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Only kinds with these words, such as "both" or "extra replica".
        #[arg(long)]
        only: Option<String>,
    },
    /// That the surviving host of two refuses nothing: with an embedded store and with etcd, one coordinator and two.
    Survivors {
        /// How long each is written to.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// How long each client rests after each write, in milliseconds: four clusters share the machine.
        #[arg(long, default_value_t = 2)]
        pause_ms: u64,
    },
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let json = arguments.json.as_deref();
    let tell = |line: &str| println!("{line}");
    match arguments.proof {
        Proof::Partitions { runs, lanes, seed, only } => {
            let seed = seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
            let is_wanted = |kind: &Kind| only.as_ref().is_none_or(|only| kind.to_string().contains(only));
            let kinds: Vec<Kind> = Kind::all().into_iter().filter(is_wanted).collect();
            ensure!(!kinds.is_empty(), "there is no such kind of partition");
            let plan = PartitionsPlan { runs, lanes, seed, kinds, writes_to: WritesTo::Proxy };
            let found = partitions::run(&plan, &tell)?;
            report(&found, found.is_good(), json)
        }
        Proof::Survivors { seconds, pause_ms } => {
            let pause = Duration::from_millis(pause_ms);
            let found = survivors::side_by_side(&SetUp::ALL, seconds, pause)?;
            report(&found, found.are_good(), json)
        }
        Proof::Targets { runs, half_runs, hosts, only } => {
            let figures = targets::measure(&TargetsPlan { runs, half_runs, hosts, only }, &tell)?;
            report(&figures, figures.are_met(), json)
        }
    }
}

/// Prints what was found.
fn report<T: Display + Serialize>(found: &T, is_good: bool, json: Option<&Path>) -> Result<ExitCode> {
    println!("\n{found}");
    match json {
        Some(path) => {
            let text = serde_json::to_string_pretty(found)?;
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => println!("{}", serde_json::to_string(found)?),
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
