//! The targets of failover at default settings, one after the other.

use anyhow::Result;

use super::control_part::{self, ControlPart};
use super::death::{self, Fault};
use super::figure::Figures;
use super::half;

/// How often each is measured, and with how many hosts.
#[derive(Clone, Debug)]
pub struct TargetsPlan {
    /// How often each single thing dies.
    pub runs: usize,
    /// How often half of all hosts die at once.
    pub half_runs: usize,
    /// How many hosts there are of which half die, an even number.
    pub hosts: usize,
    /// Measures only what has these words in its name, such as "host" or "broker".
    pub only: Option<String>,
}

/// Measures them all. `tell` is given a line for each run.
///
/// # Errors
/// When something does not start, takes no writes again or does not become whole again.
pub fn measure(plan: &TargetsPlan, tell: &dyn Fn(&str)) -> Result<Figures> {
    let wanted = |words: &str| plan.only.as_ref().is_none_or(|only| words.contains(only.as_str()));
    let mut figures = Figures::default();
    if plan.runs > 0 {
        for fault in Fault::ALL.into_iter().filter(|fault| wanted(fault.words())) {
            figures.0.push(death::measure(fault, plan.runs, tell)?);
        }
        for part in ControlPart::ALL.into_iter().filter(|part| wanted(part.words())) {
            figures.0.push(control_part::measure(part, plan.runs, tell)?);
        }
    }
    if plan.half_runs > 0 && wanted("hosts at once") {
        figures.0.push(half::measure(plan.hosts, plan.half_runs, tell)?);
    }
    Ok(figures)
}
