//! The search for an order: depth first over the writes that could come next, reads taken as soon as they fit.
//!
//! ```text
//!          ├── a: write 1 ──┤
//!     ├──────── b: write 2 ────────┤
//!                        ├─ c: read 2 ─┤
//! ```
//! At first `a` and `b` can come next, `c` not: its call lies after the earliest end, that of `a`.

use std::collections::{HashMap, HashSet};

use super::prepare::{Effect, Prepared};
use super::verdict::{STATES_MAX, Stuck, Violation};
use crate::history::{Moment, Operation, Value};

/// How many operations a [`Stuck`] shows on either side.
const SHOWN: usize = 8;

/// Finds an order of all steps, or says how far one goes.
pub(super) fn search(prepared: &Prepared) -> Result<(), Violation> {
    Search::new(prepared).run()
}

/// A way to go on.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// The step with this index happens.
    Step(usize),
    /// An increment of unknown outcome happens.
    Spare,
}

/// The state to return to when a choice was wrong.
#[derive(Debug)]
struct Fork {
    choices: Vec<Choice>,
    taken: usize,
    ordered: usize,
    value: Option<Value>,
    spares_used: usize,
}

struct Search<'a> {
    prepared: &'a Prepared,
    /// Which steps are in order already.
    done: Vec<bool>,
    /// The steps in their order so far.
    order: Vec<usize>,
    /// All steps before this one are done.
    first_open: usize,
    value: Option<Value>,
    spares_used: usize,
    /// How many open reads still need each value.
    readers: HashMap<Option<Value>, usize>,
    /// Values of a counter that an answered increment makes: no spare one may.
    made: HashSet<Value>,
    visited: HashSet<(Option<Value>, Vec<usize>)>,
    deepest: Option<Stuck>,
}

impl<'a> Search<'a> {
    fn new(prepared: &'a Prepared) -> Self {
        let mut readers = HashMap::new();
        let mut made = HashSet::new();
        for step in &prepared.steps {
            match step.effect {
                Effect::Find(seen) => *readers.entry(seen).or_default() += 1,
                Effect::Make(value) => drop(made.insert(value)),
            }
        }
        Self {
            prepared,
            done: vec![false; prepared.steps.len()],
            order: Vec::with_capacity(prepared.steps.len()),
            first_open: 0,
            value: prepared.initial,
            spares_used: 0,
            readers,
            made,
            visited: HashSet::new(),
            deepest: None,
        }
    }

    fn run(mut self) -> Result<(), Violation> {
        let mut forks: Vec<Fork> = Vec::new();
        for _ in 0..STATES_MAX {
            self.take_reads();
            if self.order.len() == self.prepared.steps.len() {
                return Ok(());
            }
            let choices = self.choices();
            if choices.is_empty() {
                self.note_stuck();
            } else if choices.len() == 1 || self.is_new() {
                let (ordered, value, spares_used) = (self.order.len(), self.value, self.spares_used);
                forks.push(Fork { choices, taken: 0, ordered, value, spares_used });
            }
            // Go on with the last choice that is left, or give up.
            let choice = loop {
                let Some(fork) = forks.last_mut() else {
                    return Err(Violation::NoOrder(Box::new(self.deepest.unwrap_or_else(nothing_tried))));
                };
                let Some(choice) = fork.choices.get(fork.taken).copied() else {
                    forks.pop();
                    continue;
                };
                fork.taken += 1;
                let (ordered, value, spares_used) = (fork.ordered, fork.value, fork.spares_used);
                self.return_to(ordered, value, spares_used);
                break choice;
            };
            self.take(choice);
        }
        Err(Violation::Undecided(STATES_MAX))
    }

    /// The steps called before any open step ended. All that are done already and not before `first_open` are
    /// among them, since that bound only grows while steps are put in order.
    fn window(&self) -> impl Iterator<Item = usize> {
        let steps = &self.prepared.steps;
        let mut bound = Moment::NEVER;
        (self.first_open..steps.len()).take_while(move |&index| {
            let within = steps[index].call <= bound;
            if !self.done[index] {
                bound = bound.min(steps[index].end);
            }
            within
        })
    }

    /// The open steps that may come next.
    fn candidates(&self) -> impl Iterator<Item = usize> {
        self.window().filter(|&index| !self.done[index])
    }

    /// When the first open step ends: nothing called later can come before it.
    fn bound(&self) -> Moment {
        self.candidates().map(|index| self.prepared.steps[index].end).min().unwrap_or(Moment::NEVER)
    }

    /// Puts every read that fits now into the order: it changes nothing, so sooner is never worse.
    fn take_reads(&mut self) {
        loop {
            let fits = |index: &usize| self.prepared.steps[*index].effect == Effect::Find(self.value);
            let reads: Vec<usize> = self.candidates().filter(fits).collect();
            if reads.is_empty() {
                return;
            }
            for index in reads {
                self.put(index);
            }
        }
    }

    fn choices(&self) -> Vec<Choice> {
        // Values are unique: with a reader left, going on would leave it without its value.
        if self.readers.get(&self.value).is_some_and(|&left| left > 0) {
            return Vec::new();
        }
        let next = Value(self.value.map_or(0, |Value(value)| value) + 1);
        let mut makes: Vec<usize> = self
            .candidates()
            .filter(|&index| match self.prepared.steps[index].effect {
                Effect::Make(value) => !self.prepared.counter || value == next,
                Effect::Find(_) => false,
            })
            .collect();
        makes.sort_by_key(|&index| self.prepared.steps[index].end);
        let mut choices: Vec<Choice> = makes.into_iter().map(Choice::Step).collect();
        // Of increments without an answer the earliest called is as good as any: none has an end to keep.
        let spare = self.prepared.spare_increments.get(self.spares_used);
        if spare.is_some_and(|&call| call <= self.bound()) && !self.made.contains(&next) {
            choices.push(Choice::Spare);
        }
        choices
    }

    fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Step(index) => {
                if let Effect::Make(value) = self.prepared.steps[index].effect {
                    self.value = Some(value);
                }
                self.put(index);
            }
            Choice::Spare => {
                self.spares_used += 1;
                self.value = Some(Value(self.value.map_or(0, |Value(value)| value) + 1));
            }
        }
    }

    fn put(&mut self, index: usize) {
        self.done[index] = true;
        self.order.push(index);
        self.count_reader(index, false);
        while self.done.get(self.first_open) == Some(&true) {
            self.first_open += 1;
        }
    }

    fn return_to(&mut self, ordered: usize, value: Option<Value>, spares_used: usize) {
        while self.order.len() > ordered {
            let Some(index) = self.order.pop() else { break };
            self.done[index] = false;
            self.first_open = self.first_open.min(index);
            self.count_reader(index, true);
        }
        self.value = value;
        self.spares_used = spares_used;
    }

    fn count_reader(&mut self, index: usize, open: bool) {
        if let Effect::Find(seen) = self.prepared.steps[index].effect {
            let left = self.readers.entry(seen).or_default();
            *left = if open { *left + 1 } else { *left - 1 };
        }
    }

    /// Whether this state was not seen before. What a counter holds says how many spare increments were used.
    fn is_new(&mut self) -> bool {
        let ahead = self.window().filter(|&index| self.done[index]);
        let key: Vec<usize> = std::iter::once(self.first_open).chain(ahead).collect();
        self.visited.insert((self.value, key))
    }

    fn note_stuck(&mut self) {
        if self.deepest.as_ref().is_some_and(|stuck| stuck.ordered >= self.order.len()) {
            return;
        }
        let operation = |index: usize| self.prepared.steps[index].operation;
        let mut next: Vec<usize> = self.candidates().collect();
        next.sort_by_key(|&index| self.prepared.steps[index].end);
        let before = &self.order[self.order.len().saturating_sub(SHOWN)..];
        let stuck = Stuck {
            ordered: self.order.len(),
            value: self.value,
            before: before.iter().map(|&index| operation(index)).collect::<Vec<Operation>>(),
            next: next.into_iter().take(SHOWN).map(operation).collect(),
        };
        self.deepest = Some(stuck);
    }
}

fn nothing_tried() -> Stuck {
    Stuck { ordered: 0, value: None, before: Vec::new(), next: Vec::new() }
}
