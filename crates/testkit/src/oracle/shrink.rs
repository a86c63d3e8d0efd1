//! Cuts a script that shows a difference down to a small one that still shows it.

use std::time::Duration;

use super::script::{Form, Script};
use crate::wait::Deadline;

/// How often a smaller script is tried.
const TRIES_MAX: usize = 300;
/// For how long; a script that shows a hang takes its time.
const TIME_MAX: Duration = Duration::from_secs(40);

/// The smallest script found for which `fails` still holds.
pub(super) fn shrink(script: Script, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut search = Search { best: script, tries: 0, deadline: Deadline::within(TIME_MAX) };
    if search.best.concurrent {
        search.attempt(&mut fails, |script| script.concurrent = false);
    }
    search.remove(&mut fails, |script| script.steps.len(), |script, range| drop(script.steps.drain(range)));
    for step in (0..search.best.steps.len()).rev() {
        let count = move |script: &Script| script.steps[step].requests.len();
        search.remove(&mut fails, count, |script, range| drop(script.steps[step].requests.drain(range)));
        search.attempt(&mut fails, |script| script.steps[step].cuts.clear());
    }
    search.best
}

struct Search {
    best: Script,
    tries: usize,
    deadline: Deadline,
}

impl Search {
    /// Keeps the change if the script still fails with it.
    fn attempt(&mut self, fails: &mut impl FnMut(&Script) -> bool, change: impl FnOnce(&mut Script)) -> bool {
        if self.tries == TRIES_MAX || self.deadline.passed() {
            return false;
        }
        self.tries += 1;
        let mut candidate = self.best.clone();
        change(&mut candidate);
        // A step that must close the connection cannot lose the request that makes it close.
        let sound = candidate.steps.iter().all(|step| {
            let raw = step.requests.last().is_some_and(|last| last.form == Form::Raw);
            raw || !step.closes
        });
        let kept = sound && fails(&candidate);
        if kept {
            self.best = candidate;
        }
        kept
    }

    /// Removes runs of parts, first long ones, then single ones.
    fn remove(
        &mut self,
        fails: &mut impl FnMut(&Script) -> bool,
        count: impl Fn(&Script) -> usize,
        take: impl Fn(&mut Script, std::ops::Range<usize>),
    ) {
        let mut run = count(&self.best).div_ceil(2);
        while run > 0 {
            let mut end = count(&self.best);
            while end > 0 {
                let range = end.saturating_sub(run)..end;
                end = range.start;
                self.attempt(fails, |script| take(script, range));
            }
            run /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate::{Kind, generate};
    use super::*;

    #[test]
    fn one_guilty_request_is_all_that_stays() {
        // A step that closes the connection keeps the request that makes it close.
        let is_guilty = |script: &Script| {
            let steps = script.steps.iter().filter(|step| !step.closes);
            steps.flat_map(|step| &step.requests).any(|request| request.args[0] == b"HSET")
        };
        let guilty = (0..)
            .map(|seed| generate(seed, Kind::OneSlot))
            .find(|script| script.requests() > 100 && is_guilty(script));
        let small = shrink(guilty.unwrap(), is_guilty);
        assert_eq!(small.requests(), 1, "{small}");
        assert!(is_guilty(&small));
    }
}
