//! As many requests as are answered, by redis-benchmark, whose figures everybody can repeat.

use std::time::Duration;

use anyhow::Context as _;

use super::data;
use super::driver::{Driver, Outcome};
use crate::child;
use crate::plan::{Case, LARGE_BYTES, Operation};

/// Longest run of redis-benchmark: many times what any is planned for.
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// Columns of its CSV output after the name of the test, which may hold commas itself:
/// rps, mean, minimum, p50, p95, p99, maximum.
const COLUMNS: usize = 7;

/// The shape of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) port: u16,
    pub(super) connections: usize,
    pub(super) pipeline: usize,
    pub(super) requests: u64,
}

/// Runs redis-benchmark to its end.
pub(super) fn drive(driver: &Driver<'_>, case: &Case, shape: Shape) -> anyhow::Result<Outcome> {
    let mut command = child::command(driver.cores, driver.program);
    command.args(["-h", "127.0.0.1", "--csv", "-p", &shape.port.to_string()]);
    command.args(["-c", &shape.connections.to_string(), "-P", &shape.pipeline.to_string()]);
    command.args(["-n", &shape.requests.to_string(), "-d", &case.value_bytes.to_string()]);
    if driver.cores.len() > 1 {
        command.args(["--threads", &driver.cores.len().to_string()]);
    }
    match case.operation {
        Operation::Get if case.value_bytes < LARGE_BYTES => {
            command.args(["-t", "get", "-r", &driver.keys.to_string()]);
        }
        Operation::Set => {
            command.args(["-t", "set", "-r", &driver.keys.to_string()]);
        }
        Operation::Get | Operation::Mget | Operation::Mset => {
            // Its own MSET has 10 keys in as many slots, so these are given word by word.
            for word in data::request(case) {
                command.arg(String::from_utf8(word).context("a word of a command")?);
            }
        }
    }
    let printed = child::output(command, RUN_LIMIT)?;
    outcome(&printed).with_context(|| format!("redis-benchmark printed {printed:?}"))
}

fn outcome(printed: &str) -> Option<Outcome> {
    let line = printed.lines().rfind(|line| line.starts_with('"'))?;
    let mut columns: Vec<&str> = line.trim_matches('"').rsplit("\",\"").take(COLUMNS).collect();
    columns.reverse();
    let number = |index: usize| columns.get(index)?.parse::<f64>().ok();
    Some(Outcome { per_second: number(0)?, p50_ms: number(3)?, p99_ms: number(5)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_benchmark_prints() {
        let head = r#""test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms""#;
        let expected = Outcome { per_second: 124999.99, p50_ms: 0.039, p99_ms: 0.087 };
        let numbers = r#""124999.99","0.045","0.008","0.039","0.063","0.087","2.311""#;
        let cases = [
            (format!("{head}\n\"GET\",{numbers}\n"), Some(expected)),
            (format!("WARNING: no CONFIG\n{head}\n\"mset a,b \",{numbers}\n"), Some(expected)),
            (format!("{head}\n"), None),
            (String::new(), None),
        ];
        for (printed, expected) in cases {
            assert_eq!(outcome(&printed), expected, "{printed}");
        }
    }
}
