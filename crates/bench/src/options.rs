//! The command line. It must never hold a default that another file repeats.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Parser;

/// Measures CPU per request, throughput, latency and memory of this proxy, twemproxy and plain Redis.
///
/// Needs redis-server and redis-benchmark, and nutcracker where it is to be compared (Debian packages
/// redis-server, redis-tools, nutcracker), and two or more cores. Figures are medians over the rounds.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Rounds over all targets for each case; medians are taken over them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Length of one measurement, in seconds
    #[arg(long, default_value_t = 1.5, value_parser = seconds)]
    pub seconds: f64,
    /// Only cases whose name contains this text (may be given several times; see --list)
    #[arg(long = "case", value_name = "TEXT")]
    pub cases: Vec<String>,
    /// Measure this running process as well
    #[arg(long = "target", value_name = "NAME=PORT:PID")]
    pub targets: Vec<External>,
    /// The Redis behind the --target processes, so that its CPU is counted for them
    #[arg(long, value_name = "PID")]
    pub backend_pid: Option<u32>,
    /// Start only these of nutcracker, undermoon, redis
    #[arg(long, value_delimiter = ',', default_value = "nutcracker,undermoon,redis")]
    pub start: Vec<String>,
    /// The undermoon binary [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub undermoon: Option<PathBuf>,
    /// A smoke run: every case for a moment, with few keys; its figures mean nothing
    #[arg(long)]
    pub quick: bool,
    /// Print the names of the cases and stop
    #[arg(long)]
    pub list: bool,
    /// Write every sample to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// After a whole run, write README.md (between its markers), cpu.svg and latest.json (the medians) into this folder
    #[arg(long, value_name = "FOLDER")]
    pub docs: Option<PathBuf>,
    /// After a whole run, write a short comparison into this document, between its markers
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Measure nothing: show and write what an earlier run wrote with --json
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Exit with 1 when a target of the project is missed
    #[arg(long)]
    pub strict: bool,
}

impl Options {
    /// Whether every case is measured in earnest: only then are documents written.
    #[must_use]
    pub fn whole(&self) -> bool {
        !self.quick && self.cases.is_empty()
    }
}

/// A process that someone else started and that is to be measured too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The name in the tables.
    pub name: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its process id.
    pub pid: u32,
}

impl FromStr for External {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, place) = text.split_once('=').context("expected NAME=PORT:PID")?;
        let (port, pid) = place.split_once(':').context("expected NAME=PORT:PID")?;
        if name.is_empty() {
            bail!("the name is empty");
        }
        Ok(External {
            name: name.to_owned(),
            port: port.parse().with_context(|| format!("port {port:?}"))?,
            pid: pid.parse().with_context(|| format!("process id {pid:?}"))?,
        })
    }
}

/// Longest single measurement; beyond it a mistyped number would look like a hang.
const SECONDS_MAX: f64 = 600.0;

fn seconds(text: &str) -> anyhow::Result<f64> {
    let value: f64 = text.parse()?;
    if !(value > 0.0 && value <= SECONDS_MAX) {
        bail!("must be above 0 and at most {SECONDS_MAX}");
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_targets() {
        let good = External { name: "a".into(), port: 1, pid: 2 };
        let cases: [(&str, Option<External>); 6] = [
            ("a=1:2", Some(good)),
            ("a=1", None),
            ("=1:2", None),
            ("a=65536:2", None),
            ("a=1:x", None),
            ("a", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<External>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn command_line_limits() {
        let cases = [
            (vec!["bench"], true),
            (vec!["bench", "--rounds", "0"], false),
            (vec!["bench", "--seconds", "0"], false),
            (vec!["bench", "--seconds", "0.2", "--quick"], true),
            (vec!["bench", "--seconds", "inf"], false),
        ];
        for (line, accepted) in cases {
            assert_eq!(Options::try_parse_from(&line).is_ok(), accepted, "{line:?}");
        }
    }
}
