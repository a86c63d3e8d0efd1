//! Looking at a node's process, where it is on this machine. What follows from it the keeper says.

use keeper::{NodeProcess, ProcessSeen};

/// The kernel keeps as many bytes of a process's name.
const NAME_BYTES_MAX: usize = 15;

/// The process, if it is there. In another container the same number may be another process, such as this one.
pub(super) fn look(process: &NodeProcess) -> Option<ProcessSeen> {
    if process.pid == std::process::id() {
        return None;
    }
    let text = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).ok()?;
    let (name, seen) = stat_of(&text)?;
    (name == name_of(&process.executable)).then_some(seen)
}

fn name_of(executable: &str) -> &str {
    let name = executable.rsplit('/').next().unwrap_or(executable);
    name.get(..NAME_BYTES_MAX).unwrap_or(name)
}

/// The name and what is seen, of `pid (name) state …` (proc(5)); the name may have spaces and parentheses of its own.
fn stat_of(text: &str) -> Option<(&str, ProcessSeen)> {
    let (before, after) = text.rsplit_once(") ")?;
    let (_, name) = before.split_once(" (")?;
    let mut fields = after.split(' ');
    let state = fields.next()?.chars().next()?;
    // The times are fields 14 and 15, the state is field 3.
    let user: u64 = fields.nth(10)?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some((name, ProcessSeen { state, ticks: user + kernel }))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        let line = "21 (a) b c) R 1 21 21 0 -1 4194560 1 2 3 4 70 5 0 0 20 0 5 0 100 1 2\n";
        assert_eq!(stat_of(line), Some(("a) b c", ProcessSeen { state: 'R', ticks: 75 })));
        for text in ["", "21 (a)", "21 (a) R 1 2"] {
            assert_eq!(stat_of(text), None, "{text:?}");
        }
        assert_eq!(name_of("/usr/bin/redis-server"), "redis-server");
        assert_eq!(name_of("a-program-with-a-long-name"), "a-program-with-");
    }

    #[test]
    fn a_process_of_another_name_is_another() {
        let own = std::process::id();
        assert!(look(&NodeProcess { pid: own, executable: String::new() }).is_none());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of = |executable: &str| look(&NodeProcess { pid: child.id(), executable: executable.into() });
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
