//! Whether a node lives that answers nobody.
//!
//! A server that runs a script, or another command that takes long, answers nobody until it is done; busy is not dead.
//! Where the node is on this machine its process shows the difference: it uses the processor, where one that was stopped,
//! is frozen or is deadlocked does not. What is seen is told to the workers, who then wait, and to coordinators.

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
    /// Processor time of all its threads, in user and in kernel mode together, in the kernel's ticks.
    pub ticks: u64,
    /// Processor time of its main thread, in nanoseconds; 0 where the kernel does not tell (`/proc/pid/schedstat`).
    pub ran_ns: u64,
}

impl ProcessSeen {
    /// Whether it has worked since an earlier look, if there was one.
    fn works(self, before: Option<Self>) -> bool {
        let ticked = before.is_some_and(|before| self.ticks > before.ticks);
        match self.state {
            'R' => true,
            // It waits for a disk, page by page; one that is frozen as a group of processes looks the same, and never runs.
            'D' => ticked || before.is_some_and(|before| self.ran_ns > before.ran_ns),
            // A moment of work is no sign: one that waits for requests that never come does as much.
            'S' => ticked,
            _ => false,
        }
    }
}

/// What is known of a node's process.
#[derive(Debug, Default)]
pub(crate) struct Life {
    process: Option<NodeProcess>,
    /// What the last look showed; `None` where the process was not there, or nobody has looked.
    last: Option<ProcessSeen>,
    looked: Option<Moment>,
    /// Until when it is taken to live.
    until: Option<Moment>,
}

impl Life {
    /// The node has answered. `process` is known where it is on this machine.
    pub(crate) fn answered(&mut self, process: Option<NodeProcess>) {
        *self = Self { process, ..Self::default() };
    }

    /// Whether its process is taken to work, by what was seen of it.
    pub(crate) fn works(&self, now: Moment) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether its process could be looked at.
    pub(crate) fn is_seen(&self) -> bool {
        self.last.is_some()
    }

    /// When its process is to be looked at next; `None` where it is not known.
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
        let before = std::mem::replace(&mut self.last, seen);
        let works = now.since(answered) >= SILENCE && seen.is_some_and(|seen| seen.works(before));
        // What does nothing at this look may wait for a page; what was stopped, or is gone, does not.
        let is_over = seen.is_none_or(|seen| !matches!(seen.state, 'R' | 'D' | 'S'));
        match (works, is_over) {
            (true, _) => self.until = Some(now.plus(LIFE)),
            (false, true) => self.until = None,
            (false, false) => {}
        }
        self.until.filter(|_| works)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_lives() {
        let works = |state, ticks: u64, ran_ns: u64| {
            let before = ProcessSeen { state, ticks: 5, ran_ns: 50 };
            ProcessSeen { state, ticks: 5 + ticks, ran_ns: 50 + ran_ns }.works(Some(before))
        };
        for (state, ticks, ran_ns, expected) in [
            ('R', 0, 0, true),
            ('D', 0, 1, true),
            ('D', 1, 0, true),
            ('D', 0, 0, false),
            ('S', 1, 0, true),
            ('S', 0, 1, false),
            ('T', 1, 1, false),
            ('Z', 1, 1, false),
        ] {
            assert_eq!(works(state, ticks, ran_ns), expected, "{state} {ticks} {ran_ns}");
        }
    }

    #[test]
    fn only_the_silent_are_looked_at() {
        let at = |ms: u64| Moment(Duration::from_millis(ms));
        let mut life = Life::default();
        assert_eq!(life.next_look(at(0)), None, "where it is is not known");
        let process = NodeProcess { pid: 1, executable: "redis-server".to_owned() };
        life.answered(Some(process.clone()));
        assert_eq!((life.look(at(0), at(149)), life.look(at(0), at(150))), (None, Some(process)));
        let seen = |state, ticks| Some(ProcessSeen { state, ticks, ran_ns: 0 });
        assert_eq!(life.seen(seen('S', 5), at(0), at(150)), None, "it may have slept all the time");
        assert_eq!(life.next_look(at(0)), Some(at(250)));
        assert!(life.look(at(0), at(250)).is_some());
        assert!(life.is_seen() && !life.works(at(250)));
        assert_eq!(life.seen(seen('S', 6), at(0), at(250)), Some(at(750)));
        assert_eq!(life.seen(seen('S', 6), at(0), at(350)), None, "it has not worked since");
        assert!(life.works(at(749)) && !life.works(at(750)), "and may work again");
        assert_eq!(life.seen(seen('T', 7), at(0), at(450)), None, "it was stopped");
        assert!(!life.works(at(450)), "that is certain");
        assert_eq!(life.seen(seen('R', 8), at(0), at(550)), Some(at(1_050)));
        assert_eq!(life.seen(None, at(0), at(650)), None, "it is gone");
        assert!(!life.works(at(650)) && !life.is_seen());
    }
}
