//! Whether a node lives that answers nobody.
//!
//! A server that runs a script, or another command that takes long, answers nobody until it is done; slow is not dead.
//! Where the node is on this machine, its process shows the difference: it uses the processor or waits for a disk, where
//! one that was stopped or is deadlocked does neither. What is seen is told to the workers, who then wait.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::Address;
use proxy_core::engine::NodeLives;

use super::fence::monotonic_us;

/// Between two looks at a process.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A node whose watch had an answer within this time needs no other sign of life.
const SILENCE: Duration = Duration::from_millis(250);
/// A node is taken to live for this time after its process was seen to work.
const LIFE: Duration = Duration::from_millis(500);
/// The kernel keeps as many bytes of a process's name.
const NAME_BYTES_MAX: usize = 15;

/// Which process a node is, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeProcess {
    /// Its number.
    pub(crate) pid: u32,
    /// The path of its program.
    pub(crate) executable: String,
}

/// What is known of a node's process.
#[derive(Debug)]
struct Seen {
    process: Option<NodeProcess>,
    answered: Instant,
    /// Processor time at the last look, in the kernel's ticks.
    ticks: Option<u64>,
}

/// Looks at one node's process while the node is silent.
#[derive(Debug)]
pub(super) struct NodeLife {
    node: Address,
    lives: NodeLives,
    seen: Mutex<Seen>,
}

impl NodeLife {
    /// Of a node that has said nothing yet.
    pub(super) fn new(node: Address, lives: NodeLives) -> NodeLife {
        let seen = Mutex::new(Seen { process: None, answered: Instant::now(), ticks: None });
        NodeLife { node, lives, seen }
    }

    /// The node has answered. `process` is known where it is on this machine.
    pub(super) fn answered(&self, process: Option<NodeProcess>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Seen { process, answered: Instant::now(), ticks: seen.ticks };
    }

    /// Looks for as long as it is polled.
    pub(super) async fn run(&self) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            self.look();
        }
    }

    fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(now) = seen.process.as_ref().and_then(process_of) else {
            seen.ticks = None;
            return;
        };
        let worked = seen.ticks.replace(now.ticks).is_some_and(|before| now.ticks > before);
        if seen.answered.elapsed() >= SILENCE && now.lives(worked) {
            self.lives.set(&self.node, monotonic_us(Instant::now() + LIFE));
        }
    }
}

impl Drop for NodeLife {
    fn drop(&mut self) {
        self.lives.forget(&self.node);
    }
}

/// A process as the kernel tells it (proc(5), `/proc/pid/stat`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct ProcessStat {
    name: String,
    state: char,
    /// In user and in kernel mode together.
    ticks: u64,
}

impl ProcessStat {
    /// A sleeping process lives if it has worked since the last look; it may wait for a lock that nobody gives back.
    fn lives(&self, worked: bool) -> bool {
        match self.state {
            'R' | 'D' => true,
            'S' => worked,
            _ => false,
        }
    }
}

/// The process, if it is there. In another container the same number may be another process, such as this one.
fn process_of(process: &NodeProcess) -> Option<ProcessStat> {
    if process.pid == std::process::id() {
        return None;
    }
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?;
    let stat = stat_of(&text)?;
    (stat.name == name_of(&process.executable)).then_some(stat)
}

fn name_of(executable: &str) -> &str {
    let name = executable.rsplit('/').next().unwrap_or(executable);
    name.get(..NAME_BYTES_MAX).unwrap_or(name)
}

/// `pid (name) state …`; the name may have spaces and parentheses of its own.
fn stat_of(text: &str) -> Option<ProcessStat> {
    let (before, after) = text.rsplit_once(") ")?;
    let (_, name) = before.split_once(" (")?;
    let mut fields = after.split(' ');
    let state = fields.next()?.chars().next()?;
    // The times are fields 14 and 15, the state is field 3.
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(ProcessStat { name: name.to_owned(), state, ticks: user + kernel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        let line = "21 (a) b c) R 1 21 21 0 -1 4194560 1 2 3 4 70 5 0 0 20 0 5 0 100 1 2\n";
        assert_eq!(stat_of(line), Some(ProcessStat { name: "a) b c".to_owned(), state: 'R', ticks: 75 }));
        for text in ["", "21 (a)", "21 (a) R 1 2"] {
            assert_eq!(stat_of(text), None, "{text:?}");
        }
        assert_eq!(name_of("/usr/bin/redis-server"), "redis-server");
        assert_eq!(name_of("a-program-with-a-long-name"), "a-program-with-");
    }

    #[test]
    fn a_process_that_works_lives() {
        let lives = |state, worked| ProcessStat { name: String::new(), state, ticks: 0 }.lives(worked);
        assert!(lives('R', false) && lives('D', false) && lives('S', true));
        assert!(!lives('S', false) && !lives('T', true) && !lives('Z', true));
    }

    #[test]
    fn a_process_of_another_name_is_another() {
        let own = std::process::id();
        assert!(process_of(&NodeProcess { pid: own, executable: String::new() }).is_none());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of =
            |executable: &str| process_of(&NodeProcess { pid: child.id(), executable: executable.into() });
        let is_other = of("redis-server").is_none();
        // Between fork and exec it still has its parent's name.
        let deadline = Instant::now() + Duration::from_secs(30);
        while of("/bin/sleep").is_none() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        let is_it = of("/bin/sleep").is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_other && is_it);
    }
}
