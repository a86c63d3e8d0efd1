//! What is told of a run: a table for people, JSON for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// One fault and what it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultReport {
    /// When it began, in milliseconds since the beginning of the run.
    pub at_ms: u64,
    /// What it was.
    pub fault: String,
    /// What it hit.
    pub hit: String,
    /// Until the first write that was called after it and acknowledged; none when there was none.
    pub first_write_ms: Option<u64>,
    /// The longest time without an acknowledged write on a shard that it hit.
    pub silence_ms: u64,
    /// Slots without an acknowledged write for a second or longer.
    pub unavailable_slots: usize,
    /// Changes of owner, and how many of them might lose writes.
    pub promotions: usize,
    /// See `promotions`.
    pub lossy_promotions: usize,
    /// Acknowledged writes that were lost.
    pub lost_writes: usize,
    /// Reads that went back in time.
    pub reads_back: usize,
    /// From the end of the fault until the cluster was whole; none when it did not become whole in time.
    pub whole_ms: Option<u64>,
}

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenReport {
    /// The invariant, in a few words.
    pub invariant: String,
    /// What shows it.
    pub evidence: String,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What decided the faults.
    pub seed: u64,
    /// Why nothing was cut, where hosts could not have a network of their own.
    pub not_cut_because: Option<String>,
    /// The faults, in order.
    pub faults: Vec<FaultReport>,
    /// Invariants that were broken.
    pub broken: Vec<BrokenReport>,
    /// Promotions of asynchronous replicas that no fault explains.
    pub unprovoked_promotions: Vec<String>,
    /// Operations that happened or may have.
    pub operations: usize,
    /// Of these, those without a clear answer.
    pub unknown_outcomes: usize,
    /// Parts of keys' histories that were judged, and the operations in them.
    pub judged_parts: usize,
    /// See `judged_parts`.
    pub judged_operations: usize,
    /// Requests that failed, by what they were told.
    pub failures: BTreeMap<String, u64>,
}

impl Report {
    /// Whether every invariant held.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.broken.is_empty()
    }
}

const HEADINGS: [&str; 10] =
    ["at s", "fault", "hit", "1st write", "silence", "slots down", "promoted", "lost", "back", "whole"];

impl FaultReport {
    fn cells(&self) -> [String; 10] {
        let milliseconds = |value: Option<u64>| value.map_or("never".to_owned(), |ms| format!("{ms} ms"));
        let promoted = match (self.promotions, self.lossy_promotions) {
            (0, _) => "-".to_owned(),
            (all, 0) => format!("{all}"),
            (all, lossy) => format!("{all}, {lossy} async"),
        };
        [
            format!("{}.{}", self.at_ms / 1000, self.at_ms % 1000 / 100),
            self.fault.clone(),
            self.hit.clone(),
            milliseconds(self.first_write_ms),
            format!("{} ms", self.silence_ms),
            self.unavailable_slots.to_string(),
            promoted,
            self.lost_writes.to_string(),
            self.reads_back.to_string(),
            milliseconds(self.whole_ms),
        ]
    }
}

impl Report {
    /// What all faults together cost.
    fn write_sums(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let promoting = self.faults.iter().filter(|fault| fault.lossy_promotions > 0);
        let mut times: Vec<u64> = promoting.filter_map(|fault| fault.first_write_ms).collect();
        times.sort_unstable();
        if let (Some(median), Some(worst)) = (times.get(times.len() / 2), times.last()) {
            let count = times.len();
            writeln!(
                formatter,
                "first write after {count} faults that promoted: p50 {median} ms, worst {worst} ms"
            )?;
        }
        let sum = |count: fn(&FaultReport) -> usize| self.faults.iter().map(count).sum::<usize>();
        let (lost, back) = (sum(|fault| fault.lost_writes), sum(|fault| fault.reads_back));
        writeln!(formatter, "acknowledged writes lost: {lost}; reads that went back in time: {back}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.faults.iter().map(FaultReport::cells));
        let widths: Vec<usize> = (0..HEADINGS.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        for row in &rows {
            let mut line = String::new();
            for ((cell, width), column) in row.iter().zip(&widths).zip(0..) {
                // Words to the left, figures to the right.
                let pad = " ".repeat(width - cell.chars().count());
                line += &if matches!(column, 1 | 2) {
                    format!("{cell}{pad}  ")
                } else {
                    format!("{pad}{cell}  ")
                };
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        writeln!(
            formatter,
            "seed {}: {} faults, {} operations ({} of unknown outcome); {} parts of histories judged, {} operations",
            self.seed,
            self.faults.len(),
            self.operations,
            self.unknown_outcomes,
            self.judged_parts,
            self.judged_operations
        )?;
        self.write_sums(formatter)?;
        if let Some(why) = &self.not_cut_because {
            writeln!(formatter, "nothing was cut: {why}")?;
        }
        for promotion in &self.unprovoked_promotions {
            writeln!(formatter, "no fault explains a promotion: {promotion}")?;
        }
        for (failure, count) in &self.failures {
            writeln!(formatter, "{count:>8} × {failure}")?;
        }
        for broken in &self.broken {
            writeln!(formatter, "BROKEN: {}: {}", broken.invariant, broken.evidence)?;
        }
        formatter.write_str(if self.is_good() { "every invariant held\n" } else { "" })
    }
}
