//! Keeping the processes of `up` alive: what dies is restarted.
//!
//! The supervisor restarts processes and does nothing else. The coordinator keeps the cluster going without the dead
//! process, and takes it back.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use service::shutdown::Shutdown;

use super::process::{Process, Recipe, stop_all};
use crate::failure::Failure;

/// The pause before a process that has died is restarted.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause, for a process that keeps dying.
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// A process that has lived that long was not started in vain.
const GOOD_LIFE: Duration = Duration::from_secs(10);

/// What a process is for: in this order they are started, and in the reverse order they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A Redis server.
    Node,
    /// A proxy: what it has in flight still finds its nodes.
    Proxy,
    /// Broker and coordinator: gone before the others, they take no end for a failure.
    Control,
}

/// One process that is kept alive.
#[derive(Debug)]
struct Ward {
    part: Part,
    recipe: Recipe,
    process: Process,
    started: Instant,
    pause: Pause,
    /// When the process is restarted; `None` while it runs.
    due: Option<Instant>,
}

/// The pause before the next start, which grows while starts are in vain.
#[derive(Clone, Copy, Debug)]
struct Pause(Duration);

impl Pause {
    /// The pause after a life of that length.
    fn after(&mut self, life: Duration) -> Duration {
        if life >= GOOD_LIFE {
            self.0 = RESTART_PAUSE;
        }
        let pause = self.0;
        self.0 = (self.0 * 2).min(RESTART_PAUSE_MAX);
        pause
    }
}

/// All processes that are kept alive.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    wards: Vec<Ward>,
}

impl Supervisor {
    /// Starts a process, and keeps it from now on. To be called from the main thread: see [`crate::child`].
    pub(crate) fn start(&mut self, part: Part, recipe: Recipe) -> Result<(), Failure> {
        let process = recipe.start()?;
        let pause = Pause(RESTART_PAUSE);
        self.wards.push(Ward { part, recipe, process, started: Instant::now(), pause, due: None });
        Ok(())
    }

    /// The number of the process with that name, while it runs.
    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        let ward = self.wards.iter().find(|ward| ward.recipe.name == name && ward.due.is_none())?;
        Some(ward.process.id())
    }

    /// An error when a process has ended since the last look: before all of it serves, that is final.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        for ward in &mut self.wards {
            if let Some(status) = ward.process.newly_ended() {
                let text =
                    format!("{} ended by itself ({status}){}", ward.recipe.name, ward.recipe.log_tail());
                return Err(anyhow!(text).into());
            }
        }
        Ok(())
    }

    /// Restarts what has died, as soon as its pause is over. Says on standard error what happens.
    pub(crate) fn tend(&mut self) {
        for ward in &mut self.wards {
            if let Some(status) = ward.process.newly_ended() {
                ward.bury(status);
            }
            if ward.due.is_some_and(|due| Instant::now() >= due) {
                ward.revive();
            }
        }
    }

    /// Ends everything, part by part.
    pub(crate) fn stop(&mut self, shutdown: &Shutdown) {
        for part in [Part::Control, Part::Proxy, Part::Node] {
            let wards = self.wards.iter_mut().filter(|ward| ward.part == part);
            stop_all(wards.map(|ward| &mut ward.process).collect(), shutdown);
        }
    }
}

impl Ward {
    fn bury(&mut self, status: ExitStatus) {
        let life = self.started.elapsed();
        let pause = self.pause.after(life);
        // Who is killed has nothing to say; who ends by itself may have.
        let log = if status.code().is_some() { self.recipe.log_tail() } else { String::new() };
        eprintln!("{} ended ({status}) and is restarted in {pause:?}{log}", self.recipe.name);
        self.due = Some(Instant::now() + pause);
    }

    fn revive(&mut self) {
        self.started = Instant::now();
        match self.recipe.start() {
            Ok(process) => {
                (self.process, self.due) = (process, None);
                eprintln!("{} has restarted, process {}", self.recipe.name, self.process.id());
            }
            Err(failure) => {
                let pause = self.pause.after(Duration::ZERO);
                eprintln!("{:#}; tried again in {pause:?}", failure.error);
                self.due = Some(Instant::now() + pause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Pause, RESTART_PAUSE};

    #[test]
    fn the_pause_grows_while_starts_are_in_vain() {
        let mut pause = Pause(RESTART_PAUSE);
        let mut pauses = |lives: &[u64]| -> Vec<u128> {
            lives.iter().map(|life| pause.after(Duration::from_secs(*life)).as_millis()).collect()
        };
        assert_eq!(pauses(&[100, 0, 0, 1]), [100, 200, 400, 800]);
        assert_eq!(pauses(&[1, 1, 1, 1, 1]), [1600, 3200, 5000, 5000, 5000]);
        assert_eq!(pauses(&[11, 1]), [100, 200]);
    }
}
