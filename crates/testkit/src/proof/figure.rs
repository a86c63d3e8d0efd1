//! What was measured of one fault, and the report of them all: a table for people, JSON for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The times that are wanted of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The largest median, in milliseconds; nothing is asked of it when absent.
    pub p50_ms_max: Option<u64>,
    /// The largest worst time, in milliseconds.
    pub worst_ms_max: u64,
}

/// The requests of clients that must not notice a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// How many were made.
    pub made: usize,
    /// How many of them were not answered with OK. None may be.
    pub refused: usize,
}

/// What was measured of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What died.
    pub fault: String,
    /// What the times are.
    pub measured: &'static str,
    /// How often it died.
    pub runs: usize,
    /// The median of the times, in milliseconds.
    pub p50_ms: u64,
    /// The longest of the times, in milliseconds.
    pub worst_ms: u64,
    /// The times that are wanted, where any are.
    pub bound: Option<Bound>,
    /// Where clients must not notice it: what they asked for.
    pub requests: Option<Requests>,
    /// How late a thread of this process was woken meanwhile at most, in milliseconds: what the machine adds.
    pub machine_late_ms: u64,
}

impl Figure {
    /// Of the times of each run, in any order.
    ///
    /// # Panics
    /// When there are no times.
    #[must_use]
    pub fn of(fault: String, measured: &'static str, runs: usize, times: &[Duration]) -> Self {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        Self {
            fault,
            measured,
            runs,
            p50_ms: milliseconds(sorted[sorted.len() / 2]),
            worst_ms: milliseconds(sorted[sorted.len() - 1]),
            bound: None,
            requests: None,
            machine_late_ms: 0,
        }
    }

    /// Whether all that is wanted of it was met.
    #[must_use]
    pub fn is_met(&self) -> bool {
        let in_time = self.bound.is_none_or(|bound| {
            let median_is_good = bound.p50_ms_max.is_none_or(|most| self.p50_ms <= most);
            median_is_good && self.worst_ms <= bound.worst_ms_max
        });
        in_time && self.requests.is_none_or(|requests| requests.made > 0 && requests.refused == 0)
    }

    fn wanted(&self) -> String {
        let times = self.bound.map(|bound| match bound.p50_ms_max {
            Some(median) => format!("p50 {median}, worst {}", bound.worst_ms_max),
            None => format!("worst {}", bound.worst_ms_max),
        });
        let requests = self.requests.map(|_| "none refused".to_owned());
        times.into_iter().chain(requests).collect::<Vec<_>>().join("; ")
    }
}

/// The figures of all faults.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    /// Whether every target was met.
    #[must_use]
    pub fn are_met(&self) -> bool {
        self.0.iter().all(Figure::is_met)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what died | measured | runs | p50 ms | worst ms | requests | refused | wanted | met | machine late ms |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|---|")?;
        for figure in &self.0 {
            let Figure { fault, measured, runs, p50_ms, worst_ms, machine_late_ms, .. } = figure;
            let [made, refused] = figure.requests.map_or([String::new(), String::new()], |requests| {
                [requests.made.to_string(), requests.refused.to_string()]
            });
            let (wanted, met) = (figure.wanted(), if figure.is_met() { "yes" } else { "**no**" });
            writeln!(
                f,
                "| {fault} | {measured} | {runs} | {p50_ms} | {worst_ms} | {made} | {refused} | {wanted} | {met} \
                 | {machine_late_ms} |"
            )?;
        }
        Ok(())
    }
}

/// Whole milliseconds, rounded up: a bound is not met by rounding.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(times_ms: &[u64], bound: Option<Bound>, requests: Option<Requests>) -> Figure {
        let times: Vec<Duration> = times_ms.iter().copied().map(Duration::from_millis).collect();
        Figure { bound, requests, ..Figure::of("a dead node".to_owned(), "first write", times.len(), &times) }
    }

    #[test]
    fn a_target_is_met_by_the_median_and_by_the_worst() {
        let check = |times: &[u64], p50_ms_max, worst_ms_max, expected| {
            let measured = figure(times, Some(Bound { p50_ms_max, worst_ms_max }), None);
            assert_eq!(measured.is_met(), expected, "{times:?} {p50_ms_max:?} {worst_ms_max}");
        };
        check(&[300, 400, 900], Some(500), 1000, true);
        check(&[300, 501, 900], Some(500), 1000, false);
        check(&[300, 400, 1001], Some(500), 1000, false);
        check(&[1999], None, 2000, true);
        check(&[2001, 3], None, 2000, false);
    }

    #[test]
    fn one_refused_request_and_no_request_at_all_are_both_found() {
        let check = |made, refused, expected| {
            assert_eq!(figure(&[3], None, Some(Requests { made, refused })).is_met(), expected);
        };
        check(1000, 0, true);
        check(1000, 1, false);
        check(0, 0, false);
    }

    #[test]
    fn the_table_has_each_figure_with_its_runs() {
        let requests = Some(Requests { made: 700, refused: 2 });
        let figures = Figures(vec![figure(&[5, 7, 9], None, requests)]);
        let row = "| a dead node | first write | 3 | 7 | 9 | 700 | 2 | none refused | **no** | 0 |";
        assert!(figures.to_string().contains(row), "{figures}");
        assert!(!figures.are_met());
    }
}
