//! Whether a node lives that answers nobody.
//!
//! A server that runs a script, or another command that takes long, answers nobody until it is done; slow is not dead.
//! Where the node is on this machine, its process shows the difference: it uses the processor or waits for a disk, where
//! one that was stopped or is deadlocked does neither. What is seen is told to the workers, who then wait.

use std::time::Duration;

use model::Moment;

use crate::status::NodeProcess;

/// Between two looks at a process.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A node that has answered within this time needs no other sign of life.
const SILENCE: Duration = Duration::from_millis(250);
/// A node that has been silent for this long is looked at, so that there is something to compare with at [`SILENCE`].
const LOOKED_AT_AFTER: Duration = Duration::from_millis(150);
/// A node is taken to live for this time after its process was seen to work.
const LIFE: Duration = Duration::from_millis(500);

/// A process as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessSeen {
    /// Its state, a letter (proc(5), `/proc/pid/stat`).
    pub state: char,
    /// Processor time, in user and in kernel mode together, in the kernel's ticks.
    pub ticks: u64,
}

impl ProcessSeen {
    /// A sleeping process lives if it has worked since the last look; it may wait for a lock that nobody gives back.
    fn lives(self, has_worked: bool) -> bool {
        match self.state {
            'R' | 'D' => true,
            'S' => has_worked,
            _ => false,
        }
    }
}

/// What is known of a node's process.
#[derive(Debug, Default)]
pub(crate) struct Life {
    process: Option<NodeProcess>,
    /// Processor time at the last look.
    ticks: Option<u64>,
    looked: Option<Moment>,
}

impl Life {
    /// The node has answered. `process` is known where it is on this machine.
    pub(crate) fn answered(&mut self, process: Option<NodeProcess>) {
        (self.process, self.ticks, self.looked) = (process, None, None);
    }

    /// When its process is to be looked at next; none where it is not known.
    pub(crate) fn next_look(&self, answered: Moment) -> Option<Moment> {
        self.process.as_ref()?;
        let soonest = answered.plus(LOOKED_AT_AFTER);
        Some(self.looked.map_or(soonest, |looked| looked.plus(LOOK_INTERVAL).max(soonest)))
    }

    /// The process, if it is to be looked at now.
    pub(crate) fn look(&mut self, answered: Moment, now: Moment) -> Option<NodeProcess> {
        self.next_look(answered).filter(|at| *at <= now)?;
        self.looked = Some(now);
        self.process.clone()
    }

    /// It was looked at: until when the node is taken to live, if it is.
    pub(crate) fn seen(
        &mut self,
        seen: Option<ProcessSeen>,
        answered: Moment,
        now: Moment,
    ) -> Option<Moment> {
        let Some(seen) = seen else {
            self.ticks = None;
            return None;
        };
        let has_worked = self.ticks.replace(seen.ticks).is_some_and(|before| seen.ticks > before);
        (now.since(answered) >= SILENCE && seen.lives(has_worked)).then(|| now.plus(LIFE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_lives() {
        let lives = |state, has_worked| ProcessSeen { state, ticks: 0 }.lives(has_worked);
        assert!(lives('R', false) && lives('D', false) && lives('S', true));
        assert!(!lives('S', false) && !lives('T', true) && !lives('Z', true));
    }

    #[test]
    fn only_the_silent_are_looked_at() {
        let at = |ms: u64| Moment(Duration::from_millis(ms));
        let mut life = Life::default();
        assert_eq!(life.next_look(at(0)), None, "where it is is not known");
        let process = NodeProcess { pid: 1, executable: "redis-server".to_owned() };
        life.answered(Some(process.clone()));
        assert_eq!((life.look(at(0), at(149)), life.look(at(0), at(150))), (None, Some(process)));
        let seen = |ticks| Some(ProcessSeen { state: 'S', ticks });
        assert_eq!(life.seen(seen(5), at(0), at(150)), None, "it may have slept all the time");
        assert_eq!(life.next_look(at(0)), Some(at(250)));
        assert!(life.look(at(0), at(250)).is_some());
        assert_eq!(life.seen(seen(6), at(0), at(250)), Some(at(750)));
        assert_eq!(life.seen(seen(6), at(0), at(350)), None, "it has not worked since");
        assert_eq!(life.seen(None, at(0), at(450)), None, "it is gone");
    }
}
