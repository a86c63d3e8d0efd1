//! `chaos`: a run of faults against a cluster of real processes, as long as wanted; see docs/testing.md. Ends with
//! 1 when an invariant was broken.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use testkit::chaos::run::{ChaosOptions, run};
use testkit::managed::Brokers;

/// Kills, freezes and cuts off the processes of a self-managing cluster while clients write down what they see,
/// and judges it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Decides the faults; a new one when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// No fault begins after so many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only faults with these words, such as "replica frozen" or "cut off".
    #[arg(long)]
    only: Option<String>,
    /// Hosts of the cluster, an even number.
    #[arg(long, default_value_t = 4)]
    hosts: usize,
    /// Hosts in the pool beside them.
    #[arg(long, default_value_t = 2)]
    spares: usize,
    /// Brokers on one etcd; 0 is one broker with a file.
    #[arg(long, default_value_t = 2)]
    brokers: usize,
    /// Coordinators.
    #[arg(long, default_value_t = 2)]
    coordinators: usize,
    /// Writes the report as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Copies the logs of all processes to this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!("seed {seed}; again with: make chaos SEED={seed} SECONDS={}", arguments.seconds);
    let options = ChaosOptions {
        hosts: arguments.hosts,
        spares: arguments.spares,
        brokers: if arguments.brokers == 0 { Brokers::Embedded } else { Brokers::OnEtcd(arguments.brokers) },
        coordinators: arguments.coordinators,
        only: arguments.only,
        logs: arguments.logs,
        ..ChaosOptions::new(seed, Duration::from_secs(arguments.seconds))
    };
    let report = run(&options, &|line| println!("{line}"))?;
    println!("\n{report}");
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
