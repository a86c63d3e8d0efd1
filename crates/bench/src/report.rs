//! What a run measured, as it is written to and read from JSON, and the medians over it.
//! It must never hold a figure that was not measured: what is unknown is absent.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Day of the run, UTC, `YYYY-MM-DD`.
    pub date: String,
    /// The command line that repeats it.
    pub command: String,
    /// Where it ran.
    pub machine: Machine,
    /// Rounds over all targets.
    pub rounds: u32,
    /// Length of one measurement, in seconds.
    pub seconds: f64,
    /// True for a smoke run, whose figures mean nothing.
    pub quick: bool,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// The cases, in order.
    pub cases: Vec<CaseResult>,
    /// The goals that could be judged.
    pub verdicts: Vec<Verdict>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// [`crate::plan::Case::name`].
    pub name: String,
    /// [`crate::plan::Case::title`].
    pub title: String,
    /// The targets in the order in which they ran.
    pub targets: Vec<TargetResult>,
}

/// One target in one case: samples of one of the two kinds, one for each round or, in a summary, one for all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetResult {
    /// The target's name.
    pub name: String,
    /// Samples of a case with traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<Traffic>,
    /// Samples of a case with idle connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<Idle>,
}

/// One measurement under traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests answered.
    pub requests: u64,
    /// CPU of the measured process for each request, in µs.
    pub process_us: f64,
    /// CPU of the Redis behind it for each request, in µs; absent where there is none.
    pub backend_us: Option<f64>,
    /// Requests a second.
    pub per_second: f64,
    /// Median latency, in ms.
    pub p50_ms: f64,
    /// 99th percentile of the latency, in ms.
    pub p99_ms: f64,
    /// Resident memory of the measured process at the end, in KiB.
    pub resident_kib: u64,
    /// Use of the machine by anything else, as a share of one core.
    pub other: f64,
}

/// One measurement of idle connections, on a process started for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Idle {
    /// Connections at the first look.
    pub few: usize,
    /// Connections at the second look.
    pub many: usize,
    /// Resident memory at the first look, in KiB.
    pub few_kib: u64,
    /// Resident memory at the second look, in KiB.
    pub many_kib: u64,
}

/// A goal of the project and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is compared.
    pub what: String,
    /// What was measured, with its unit.
    pub measured: String,
    /// What was asked for.
    pub goal: String,
    /// Whether it was reached.
    pub result: Judgement,
}

/// Whether a goal was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// It was.
    Met,
    /// It was not.
    Missed,
    /// The samples differ too much among themselves to tell.
    Unclear,
}

impl Judgement {
    /// Met where `reached`, else missed.
    #[must_use]
    pub fn of(reached: bool) -> Judgement {
        if reached { Judgement::Met } else { Judgement::Missed }
    }

    /// For a table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Judgement::Met => "met",
            Judgement::Missed => "missed",
            Judgement::Unclear => "unclear",
        }
    }
}

impl Report {
    /// The case of that name, where it ran.
    #[must_use]
    pub fn case(&self, name: &str) -> Option<&CaseResult> {
        self.cases.iter().find(|case| case.name == name)
    }

    /// The same report with one sample for each target in each case: all that tables and chart show. What needs
    /// every sample, the verdicts, is kept as it was judged.
    #[must_use]
    pub fn summary(&self) -> Report {
        let mut summary = self.clone();
        for target in summary.cases.iter_mut().flat_map(|case| &mut case.targets) {
            target.traffic = Traffic::median(&target.traffic).into_iter().collect();
            target.idle = Idle::middle(&target.idle).into_iter().collect();
        }
        summary
    }
}

impl CaseResult {
    /// The median of a target's samples under traffic, where it has any.
    #[must_use]
    pub fn middle(&self, name: &str) -> Option<Traffic> {
        Traffic::median(&self.target(name)?.traffic)
    }

    /// The target of that name, where it ran.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&TargetResult> {
        self.targets.iter().find(|target| target.name == name)
    }
}

impl Traffic {
    /// CPU of the process and of the Redis behind it for each request, in µs.
    #[must_use]
    pub fn both_us(&self) -> f64 {
        self.process_us + self.backend_us.unwrap_or(0.0)
    }

    /// Field by field, the median of samples; `None` of none.
    #[must_use]
    pub fn median(samples: &[Traffic]) -> Option<Traffic> {
        let of = |pick: fn(&Traffic) -> f64| median(samples.iter().map(pick));
        Some(Traffic {
            requests: of(|sample| sample.requests as f64)? as u64,
            process_us: of(|sample| sample.process_us)?,
            backend_us: median(samples.iter().filter_map(|sample| sample.backend_us)),
            per_second: of(|sample| sample.per_second)?,
            p50_ms: of(|sample| sample.p50_ms)?,
            p99_ms: of(|sample| sample.p99_ms)?,
            resident_kib: of(|sample| sample.resident_kib as f64)? as u64,
            other: of(|sample| sample.other)?,
        })
    }
}

impl Idle {
    /// Memory that each further connection took, in bytes.
    #[must_use]
    pub fn bytes_each(&self) -> f64 {
        let grown_kib = self.many_kib as f64 - self.few_kib as f64;
        grown_kib * 1024.0 / (self.many - self.few) as f64
    }

    /// The sample in the middle, by the bytes of each connection; `None` of none.
    #[must_use]
    pub fn middle(samples: &[Idle]) -> Option<Idle> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(|one, two| one.bytes_each().total_cmp(&two.bytes_each()));
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }
}

/// The middle value, or the mean of the two in the middle; `None` of none.
#[must_use]
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which a share of the values lies, between two neighbours in proportion; `None` of none.
#[must_use]
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn medians() {
        let cases: [(&[f64], Option<f64>); 4] =
            [(&[], None), (&[3.0], Some(3.0)), (&[3.0, 1.0, 2.0], Some(2.0)), (&[4.0, 1.0], Some(2.5))];
        for (values, expected) in cases {
            assert_eq!(median(values.iter().copied()), expected, "{values:?}");
        }
        assert_eq!(quantile([0.0, 10.0, 20.0, 30.0, 40.0], 0.75), Some(30.0));
    }

    #[test]
    fn bytes_of_an_idle_connection() {
        let idle = Idle { few: 1000, many: 10_000, few_kib: 5000, many_kib: 9500 };
        assert_eq!(idle.bytes_each(), 512.0);
        let others = [5500, 9900].map(|many_kib| Idle { many_kib, ..idle });
        assert_eq!(Idle::middle(&[others[0], others[1], idle]), Some(idle));
        assert_eq!(Idle::middle(&[]), None);
    }

    proptest! {
        #[test]
        fn a_quantile_lies_between_the_extremes(values in prop::collection::vec(-1e9..1e9f64, 1..40), share in 0.0..1.0) {
            let found = quantile(values.iter().copied(), share).unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((least..=most).contains(&found));
            let below = values.iter().filter(|value| **value < found).count();
            prop_assert!(below as f64 <= share * values.len() as f64 + 1.0);
        }
    }
}
