//! `proof`: what failover promises, measured on real processes; see docs/testing.md. Ends with 1 when a promise was not
//! kept.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;
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
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let json = arguments.json.as_deref();
    let tell = |line: &str| println!("{line}");
    match arguments.proof {
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
