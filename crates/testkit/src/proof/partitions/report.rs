//! What was seen of each partition, and how many of each kind there were.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Kind;
use crate::proof::figure::milliseconds;

/// What was seen of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its kind.
    pub kind: Kind,
    /// Whether it ended by itself before anybody was replaced, or just then.
    pub is_short: bool,
    /// When another took a write, from the beginning of the partition.
    pub replaced: Option<Duration>,
    /// How many writes the old primary took, in all.
    pub taken: usize,
    /// How many of them were sent after the partition had begun.
    pub during: usize,
    /// How many of them it answered with OK after another had taken a write.
    pub late: usize,
    /// How long all of it took, until the cluster was whole again.
    pub whole: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}: ", self.kind, if self.is_short { ", short" } else { "" })?;
        match self.replaced {
            Some(replaced) => write!(f, "replaced after {} ms", milliseconds(replaced))?,
            None => f.write_str("not replaced")?,
        }
        let (taken, during, late) = (self.taken, self.during, self.late);
        write!(f, ", {taken} writes, {during} since the cut, {late} late; ")?;
        write!(f, "whole after {} ms", milliseconds(self.whole))
    }
}

/// What was seen of the partitions of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct KindCount {
    /// The kind, in words.
    pub kind: String,
    /// How many there were.
    pub runs: usize,
    /// How many of them ended by themselves.
    pub short: usize,
    /// In how many another took a write.
    pub replaced: usize,
    /// How long it took until then at most, in milliseconds.
    pub replaced_ms_max: Option<u64>,
    /// How many writes the old primary took, in all.
    pub taken: usize,
    /// How many of them were sent after the partition had begun.
    pub during: usize,
    /// How many of them came late.
    pub late: usize,
}

/// What was seen of all of them.
#[derive(Clone, Debug, Serialize)]
pub struct PartitionsReport {
    /// What brings the same again.
    pub seed: u64,
    /// How many there were.
    pub runs: usize,
    /// In how many another took a write.
    pub replaced: usize,
    /// How many writes an old primary answered with OK after another had taken one. None may be.
    pub late: usize,
    /// How long one took in the median, in milliseconds.
    pub whole_ms_p50: u64,
    /// Each kind.
    pub kinds: Vec<KindCount>,
}

impl PartitionsReport {
    pub(super) fn of(seed: u64, kinds: &[Kind], seen: &[Seen]) -> Self {
        let kinds: Vec<KindCount> = kinds.iter().map(|kind| count(*kind, seen)).collect();
        let sum = |part: fn(&KindCount) -> usize| kinds.iter().map(part).sum();
        let mut whole: Vec<Duration> = seen.iter().map(|seen| seen.whole).collect();
        whole.sort_unstable();
        Self {
            seed,
            runs: seen.len(),
            replaced: sum(|kind| kind.replaced),
            late: sum(|kind| kind.late),
            whole_ms_p50: whole.get(whole.len() / 2).copied().map_or(0, milliseconds),
            kinds,
        }
    }

    /// Whether nothing came late, and there was something that could have.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.late == 0 && self.replaced > 0
    }
}

fn count(kind: Kind, seen: &[Seen]) -> KindCount {
    let own = || seen.iter().filter(|seen| seen.kind == kind);
    KindCount {
        kind: kind.to_string(),
        runs: own().count(),
        short: own().filter(|seen| seen.is_short).count(),
        replaced: own().filter(|seen| seen.replaced.is_some()).count(),
        replaced_ms_max: own().filter_map(|seen| seen.replaced).max().map(milliseconds),
        taken: own().map(|seen| seen.taken).sum(),
        during: own().map(|seen| seen.during).sum(),
        late: own().map(|seen| seen.late).sum(),
    }
}

impl fmt::Display for PartitionsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| partition | runs | short | replaced | after ms at most | writes | since the cut | late |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for count in &self.kinds {
            let KindCount { kind, runs, short, replaced, taken, during, late, .. } = count;
            let most = count.replaced_ms_max.map(|ms| ms.to_string()).unwrap_or_default();
            writeln!(f, "| {kind} | {runs} | {short} | {replaced} | {most} | {taken} | {during} | {late} |")?;
        }
        let Self { seed, runs, replaced, late, whole_ms_p50, .. } = self;
        writeln!(
            f,
            "\n{runs} partitions, {replaced} with a replacement, {late} late acknowledgements; {whole_ms_p50} ms each in \
             the median, seed {seed}"
        )
    }
}
