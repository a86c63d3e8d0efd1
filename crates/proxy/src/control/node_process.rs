//! Looking at a node's process, where it is on this machine. What follows from it the keeper says.

use std::fs;

use keeper::{NodeProcess, ProcessSeen};
use model::Address;

/// The kernel keeps as many bytes of a process's name.
const NAME_BYTES_MAX: usize = 15;

/// The process of a node, if it is there and can be looked at. In another container the same number may be another
/// process, such as this one, or another server.
pub(super) fn look(node: &Address, process: &NodeProcess) -> Option<ProcessSeen> {
    if process.pid == std::process::id() {
        return None;
    }
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", process.pid)).ok();
    let text = read("stat")?;
    let (name, seen) = stat_of(&text)?;
    let is_it = name == name_of(&process.executable) && !names_another_port(&read("cmdline")?, node.port());
    is_it.then(|| ProcessSeen { ran_ns: read("schedstat").map_or(0, |text| ran_ns(&text)), ..seen })
}

/// Whether a server's title, such as `redis-server 127.0.0.1:6379 [cluster]`, has a port, and not this one.
fn names_another_port(title: &str, port: u16) -> bool {
    // Arguments end with a zero byte each; a title has its words in one piece.
    let title = title.trim_end_matches('\0');
    let words = title.split(' ').filter(|_| !title.contains('\0'));
    let mut ports = words.filter_map(|word| word.rsplit_once(':')?.1.parse::<u16>().ok()).peekable();
    ports.peek().is_some() && !ports.any(|named| named == port)
}

/// The first number of a line of schedstat: how long the main thread ran, in nanoseconds.
fn ran_ns(text: &str) -> u64 {
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
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
    Some((name, ProcessSeen { state, ticks: user + kernel, ran_ns: 0 }))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        let line = "21 (a) b c) R 1 21 21 0 -1 4194560 1 2 3 4 70 5 0 0 20 0 5 0 100 1 2\n";
        assert_eq!(stat_of(line), Some(("a) b c", ProcessSeen { state: 'R', ticks: 75, ran_ns: 0 })));
        for text in ["", "21 (a)", "21 (a) R 1 2"] {
            assert_eq!(stat_of(text), None, "{text:?}");
        }
        assert_eq!(name_of("/usr/bin/redis-server"), "redis-server");
        assert_eq!(name_of("a-program-with-a-long-name"), "a-program-with-");
        assert_eq!((ran_ns("1234567 890 12\n"), ran_ns("")), (1_234_567, 0));
        for (title, is_another) in [
            ("redis-server 127.0.0.1:6379", false),
            ("redis-server *:6379 [cluster]\0\0", false),
            ("redis-server 127.0.0.1:6380", true),
            // Servers that write no title.
            ("redis-server\0/etc/redis.conf\0", false),
            ("redis-server\0--bind\0::1\0--port\x006379\0", false),
        ] {
            assert_eq!(names_another_port(title, 6379), is_another, "{title:?}");
        }
    }

    #[test]
    fn a_process_of_another_name_is_another() {
        let (own, node) = (std::process::id(), "127.0.0.1:6379".parse().unwrap());
        assert!(look(&node, &NodeProcess { pid: own, executable: String::new() }).is_none());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of =
            |executable: &str| look(&node, &NodeProcess { pid: child.id(), executable: executable.into() });
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
