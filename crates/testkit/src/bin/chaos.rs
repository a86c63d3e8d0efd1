//! `chaos`: a run of faults against a cluster of real processes, as long as wanted; see docs/testing.md. Ends with
//! 1 when an invariant was broken.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use testkit::chaos::options::ChaosOptions;
use testkit::chaos::run::run;
use testkit::managed::Brokers;

/// What is started unless told otherwise.
const HOSTS: usize = 4;
const SPARES: usize = 2;
const BROKERS: usize = 2;
const COORDINATORS: usize = 2;

/// Kills, freezes and cuts off the processes of a self-managing cluster while clients write down what they see,
/// and judges it.
#[derive(Debug, Parser)]
struct Arguments {
    /// Decides the faults; a new one when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// No fault begins after this many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only faults with these words, such as "replica frozen" or "cut off".
    #[arg(long)]
    only: Option<String>,
    /// Hosts of the cluster, an even number.
    #[arg(long, default_value_t = HOSTS)]
    hosts: usize,
    /// Hosts in the pool beside them.
    #[arg(long, default_value_t = SPARES)]
    spares: usize,
    /// Brokers on one etcd; 0 is one broker with a file.
    #[arg(long, default_value_t = BROKERS)]
    brokers: usize,
    /// Coordinators.
    #[arg(long, default_value_t = COORDINATORS)]
    coordinators: usize,
    /// A binary of another version, from which a broker is started now and then.
    #[arg(long)]
    other_binary: Option<PathBuf>,
    /// Writes the report as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Copies the logs of all processes to this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
}

impl Arguments {
    /// The command that brings the same faults to the same processes.
    fn again(&self, seed: u64) -> String {
        let numbers = [
            ("hosts", self.hosts, HOSTS),
            ("spares", self.spares, SPARES),
            ("brokers", self.brokers, BROKERS),
            ("coordinators", self.coordinators, COORDINATORS),
        ];
        let differing = numbers.into_iter().filter(|(_, number, default)| number != default);
        let mut others: Vec<String> =
            differing.map(|(name, number, _)| format!("--{name} {number}")).collect();
        others.extend(self.other_binary.iter().map(|path| format!("--other-binary {}", path.display())));
        others.extend(self.only.iter().map(|only| format!("--only '{only}'")));
        let command = format!("make chaos SEED={seed} SECONDS={}", self.seconds);
        if others.is_empty() { command } else { format!("{command} ARGUMENTS=\"{}\"", others.join(" ")) }
    }
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let again = arguments.again(seed);
    println!("seed {seed}; again with: {again}");
    let options = ChaosOptions {
        hosts: arguments.hosts,
        spares: arguments.spares,
        brokers: if arguments.brokers == 0 { Brokers::Embedded } else { Brokers::OnEtcd(arguments.brokers) },
        coordinators: arguments.coordinators,
        only: arguments.only,
        other_binary: arguments.other_binary,
        logs: arguments.logs,
        ..ChaosOptions::new(seed, Duration::from_secs(arguments.seconds))
    };
    let report = run(&options, &|line| println!("{line}"))?;
    println!("\n{report}");
    if !report.is_good() {
        println!("the same faults again: {again}");
    }
    if let Some(path) = arguments.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
