//! What a coordinator has to do, from what the metadata says and what it has seen.
//!
//! Called again and again with fresh arguments. Each call looks at everything and returns only what is
//! to be done now; nothing is remembered between calls but what is in [`Observed`]. An action that fails,
//! or that another coordinator did first, is simply not wanted any more at the next call.
//!
//! A proxy is told something only by metadata that were read after its process was first heard.
//!
//! For a cluster whose proxies know more than the metadata, or that is under review, nothing is done.

mod action;
mod comeback;
mod detection;
mod leases;
mod pool;
mod pushes;
mod repair;
mod replicas;
mod upkeep;
mod watch;

use crate::command::Command;
use crate::observed::Observed;
use crate::state::State;
use crate::time::TimeMs;
pub use action::Action;
use watch::{Ahead, Watch};

/// What there is to do now, the urgent first.
#[must_use]
pub fn reconcile(state: &State, observed: &Observed, now: TimeMs) -> Vec<Action> {
    let (ahead, proxies) = Ahead::find(state, observed);
    let watch = Watch { state, observed, now, ahead };
    // The broker, which has the newest metadata, checks that this metadata is only some milliseconds old.
    let begin = |(proxy, seen)| Action::Apply(Command::BeginReview { proxy, seen });
    let mut actions: Vec<Action> = proxies.into_iter().map(begin).collect();
    leases::limit(&watch, &mut actions);
    detection::detect(&watch, &mut actions);
    repair::repair(&watch, &mut actions);
    comeback::decide(&watch, &mut actions);
    pushes::push(&watch, &mut actions);
    replicas::follow(&watch, &mut actions);
    pool::keep_clean(&watch, &mut actions);
    upkeep::keep_up(&watch, &mut actions);
    // Last, because until then it counts that something is to be done.
    actions.retain(|action| match action {
        Action::Push { proxy, .. } | Action::Clean { proxy, .. } => watch.is_read_since_start(proxy),
        Action::Apply(_) => true,
    });
    let ends_an_outage =
        |action: &Action| matches!(action, Action::Apply(command) if command.ends_an_outage());
    actions.sort_by_key(|action| !ends_an_outage(action));
    actions
}

#[cfg(test)]
mod tests;
