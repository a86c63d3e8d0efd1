//! The goals of the project and their judgement over what was measured.
//! It must never judge a case that did not run, nor soften a goal.

use crate::report::{CaseResult, Idle, Judgement, Traffic, Verdict, median, quantile};

/// The target that ratios refer to.
const REFERENCE: &str = "nutcracker";
/// The target that is judged.
const OURS: &str = "undermoon";
/// Ours with every batching policy off.
const UNBATCHED: &str = "undermoon-unbatched";
/// Ours with two workers.
const TWO_WORKERS: &str = "undermoon-2-workers";
/// Redis, asked directly.
const PLAIN: &str = "redis";
/// Two of ours, one of which passes everything on to the other.
const FORWARDING: &str = "undermoon-forwarding";
/// Most CPU of both of them for each request, where one that owns the slots is 1.
const FORWARDING_MAX: f64 = 2.0;
/// Ours, some of whose clients read nothing.
const UNREAD: &str = "undermoon-unread";
/// Most CPU for each request, and p99, where all clients read is 1.
const UNREAD_MAX: f64 = 1.05;
/// Most bytes for each idle connection.
const IDLE_BYTES_MAX: f64 = 256.0;
/// Least throughput of two workers, where one is 1.
const TWO_WORKERS_MIN: f64 = 1.6;
/// Least noise that is granted where two medians should be equal, as a share.
const NOISE_MIN: f64 = 0.05;
/// Noise beyond which nothing is said, as a share: it would excuse anything.
const NOISE_MAX: f64 = 0.25;
/// The standard error of a median, in quartile ranges of its samples over the root of their number, where those are
/// spread like a normal distribution.
const MEDIAN_ERROR: f64 = 0.93;
/// Standard errors within which 95 of 100 differences of equal medians lie.
const ERRORS_GRANTED: f64 = 1.96;

/// Ratios to the reference, over the samples of all the cases of a row together.
struct Row {
    what: &'static str,
    cases: &'static [&'static str],
    /// CPU of proxy and Redis together, where Redis asked directly is 1: what a user pays for the proxy.
    tax_max: Option<f64>,
    process_max: f64,
    both_max: Option<f64>,
    per_second_min: Option<f64>,
}

const ROWS: [Row; 6] = [
    Row {
        what: "50 connections, no pipeline, 3 B",
        cases: &["get-3B-c50-P1", "set-3B-c50-P1"],
        tax_max: Some(1.25),
        process_max: 0.72,
        both_max: Some(0.80),
        per_second_min: Some(1.0),
    },
    Row {
        what: "50 connections, pipeline 16, 3 B",
        cases: &["get-3B-c50-P16", "set-3B-c50-P16"],
        tax_max: Some(1.10),
        process_max: 0.33,
        both_max: Some(0.50),
        per_second_min: Some(1.3),
    },
    Row {
        what: "500 connections, no pipeline, 3 B",
        cases: &["get-3B-c500-P1", "set-3B-c500-P1"],
        tax_max: Some(1.10),
        process_max: 0.85,
        both_max: Some(0.90),
        per_second_min: Some(1.0),
    },
    Row {
        what: "50 connections, pipeline 16, 1 KiB",
        cases: &["get-1KiB-c50-P16", "set-1KiB-c50-P16"],
        tax_max: None,
        process_max: 0.45,
        both_max: Some(0.65),
        per_second_min: Some(1.2),
    },
    Row {
        what: "MGET of 100 keys, one slot",
        cases: &["mget100-3B-c50-P1"],
        tax_max: None,
        process_max: 0.60,
        both_max: None,
        per_second_min: None,
    },
    Row {
        what: "GET of 1 MiB, 10 connections",
        cases: &["get-1MiB-c10-P1"],
        tax_max: None,
        process_max: 0.85,
        both_max: None,
        per_second_min: None,
    },
];

/// Judges every goal for which this run has figures.
#[must_use]
pub fn judge(cases: &[CaseResult]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = ROWS.iter().filter_map(|row| judge_tax(row, cases)).collect();
    verdicts.extend(ROWS.iter().flat_map(|row| judge_row(row, cases)));
    verdicts.extend(cases.iter().filter_map(judge_forwarding));
    verdicts.extend(cases.iter().flat_map(judge_unread));
    verdicts.extend(judge_tails(cases));
    verdicts.extend(cases.iter().flat_map(judge_policies));
    verdicts.extend(cases.iter().filter_map(judge_idle));
    verdicts.extend(cases.iter().filter_map(judge_workers));
    verdicts
}

impl Row {
    /// The samples of a target in all the cases of the row, if it ran in each.
    fn samples(&self, cases: &[CaseResult], name: &str) -> Option<Vec<Traffic>> {
        let of_case =
            |wanted: &&str| Some(traffic(cases.iter().find(|case| case.name == **wanted)?, name)?.to_vec());
        self.cases.iter().map(of_case).collect::<Option<Vec<_>>>().map(|lists| lists.concat())
    }
}

fn judge_tax(row: &Row, cases: &[CaseResult]) -> Option<Verdict> {
    let both = |name| median(row.samples(cases, name)?.iter().map(Traffic::both_us));
    let tax = both(OURS)? / both(PLAIN)?;
    Some(at_most(format!("{}: CPU of proxy and Redis, beside Redis alone", row.what), tax, row.tax_max?))
}

/// CPU of both proxies beside that of one: Redis does the same work in both.
fn judge_forwarding(case: &CaseResult) -> Option<Verdict> {
    let process = |name| median(traffic(case, name)?.iter().map(|sample| sample.process_us));
    let ratio = process(FORWARDING)? / process(OURS)?;
    Some(at_most(
        format!("{}: CPU of both proxies, beside the local path", case.title),
        ratio,
        FORWARDING_MAX,
    ))
}

fn judge_unread(case: &CaseResult) -> Vec<Verdict> {
    let one = |name: &str, pick: fn(&Traffic) -> f64| {
        let middle = |target| median(traffic(case, target)?.iter().map(pick));
        Some(at_most(
            format!("{}: {name}, beside clients that all read", case.title),
            middle(UNREAD)? / middle(OURS)?,
            UNREAD_MAX,
        ))
    };
    [one("proxy CPU", |sample| sample.process_us), one("p99", |sample| sample.p99_ms)]
        .into_iter()
        .flatten()
        .collect()
}

fn judge_row(row: &Row, cases: &[CaseResult]) -> Vec<Verdict> {
    let (Some(ours), Some(reference)) = (row.samples(cases, OURS), row.samples(cases, REFERENCE)) else {
        return Vec::new();
    };
    let ratio = |pick: fn(&Traffic) -> f64| {
        Some(median(ours.iter().map(pick))? / median(reference.iter().map(pick))?)
    };
    let most = |name: &str, value: Option<f64>, goal: Option<f64>| {
        goal.and_then(|goal| Some(at_most(format!("{}: {name}", row.what), value?, goal)))
    };
    let mut verdicts = Vec::new();
    verdicts.extend(most("proxy CPU", ratio(|sample| sample.process_us), Some(row.process_max)));
    verdicts.extend(most("proxy and Redis CPU", ratio(Traffic::both_us), row.both_max));
    if let (Some(goal), Some(value)) = (row.per_second_min, ratio(|sample| sample.per_second)) {
        verdicts.push(at_least(format!("{}: throughput", row.what), value, goal));
    }
    verdicts
}

/// p99 is never worse than the reference's; the samples of GET and SET count together, as everywhere.
fn judge_tails(cases: &[CaseResult]) -> Vec<Verdict> {
    let mut loads: Vec<(&str, Vec<&CaseResult>)> = Vec::new();
    for case in cases {
        let load = either(&case.name, "get-", "set-");
        match loads.iter_mut().find(|(known, _)| *known == load) {
            Some((_, of_load)) => of_load.push(case),
            None => loads.push((load, vec![case])),
        }
    }
    let tail = |of_load: &[&CaseResult]| {
        let p99 = |name| {
            let samples = of_load.iter().map(|case| traffic(case, name)).collect::<Option<Vec<_>>>()?;
            median(samples.concat().iter().map(|sample| sample.p99_ms))
        };
        let what = match of_load {
            [only] => only.title.clone(),
            several => either(&several.first()?.title, "GET ", "SET ").to_owned(),
        };
        Some(at_most(format!("{what}: p99"), p99(OURS)? / p99(REFERENCE)?, 1.0))
    };
    loads.iter().filter_map(|(_, of_load)| tail(of_load)).collect()
}

/// The text without whichever of two beginnings it has.
fn either<'a>(text: &'a str, one: &str, other: &str) -> &'a str {
    text.strip_prefix(one).or_else(|| text.strip_prefix(other)).unwrap_or(text)
}

/// At low load, latency is no worse than with every batching policy off, within noise: what two equal medians
/// may differ by, or [`NOISE_MIN`]. With more than [`NOISE_MAX`] it is not judged.
fn judge_policies(case: &CaseResult) -> Vec<Verdict> {
    let (Some(on), Some(off)) = (traffic(case, OURS), traffic(case, UNBATCHED)) else { return Vec::new() };
    let one = |name: &str, pick: fn(&Traffic) -> f64| {
        let of = |samples: &[Traffic], share| quantile(samples.iter().map(pick), share);
        let error = |samples: &[Traffic]| {
            let range = of(samples, 0.75)? - of(samples, 0.25)?;
            Some(MEDIAN_ERROR * range / (samples.len() as f64).sqrt())
        };
        let (with, without) = (of(on, 0.5)?, of(off, 0.5)?);
        let noise = (error(on)?.hypot(error(off)?) * ERRORS_GRANTED).max(without * NOISE_MIN);
        Some(Verdict {
            what: format!("{}: {name}, policies on against off", case.title),
            measured: format!("{with:.3} ms against {without:.3} ms"),
            goal: format!("no worse, within {noise:.3} ms"),
            result: if noise <= without * NOISE_MAX {
                Judgement::of(with <= without + noise)
            } else {
                Judgement::Unclear
            },
        })
    };
    [one("p50", |sample| sample.p50_ms), one("p99", |sample| sample.p99_ms)].into_iter().flatten().collect()
}

fn judge_idle(case: &CaseResult) -> Option<Verdict> {
    let samples = &case.target(OURS)?.idle;
    let bytes = median(samples.iter().map(Idle::bytes_each))?;
    Some(Verdict {
        what: format!("{}: memory of each", case.title),
        measured: format!("{bytes:.0} B"),
        goal: format!("≤ {IDLE_BYTES_MAX:.0} B"),
        result: Judgement::of(bytes <= IDLE_BYTES_MAX),
    })
}

fn judge_workers(case: &CaseResult) -> Option<Verdict> {
    let per_second = |name| median(traffic(case, name)?.iter().map(|sample| sample.per_second));
    let value = per_second(TWO_WORKERS)? / per_second(OURS)?;
    Some(at_least("two workers against one: throughput".to_owned(), value, TWO_WORKERS_MIN))
}

fn traffic<'a>(case: &'a CaseResult, name: &str) -> Option<&'a [Traffic]> {
    let samples = case.target(name)?.traffic.as_slice();
    (!samples.is_empty()).then_some(samples)
}

/// Ratios are judged as they are printed, with two digits: more would judge noise.
fn rounded(ratio: f64) -> f64 {
    (ratio * 100.0).round() / 100.0
}

fn at_most(what: String, value: f64, goal: f64) -> Verdict {
    let result = Judgement::of(rounded(value) <= goal);
    Verdict { what, measured: format!("{value:.2}"), goal: format!("≤ {goal:.2}"), result }
}

fn at_least(what: String, value: f64, goal: f64) -> Verdict {
    let result = Judgement::of(rounded(value) >= goal);
    Verdict { what, measured: format!("{value:.2}"), goal: format!("≥ {goal:.2}"), result }
}

#[cfg(test)]
mod tests;
