//! How much memory this process may count on: the machine's, or what its control group leaves of it.

use std::fs;

/// Of the memory of the machine, sessions may hold this part where nothing else is configured.
const SHARE: u64 = 4;
/// And no more than this, bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// And no less than this, bytes.
const MIN_BYTES: u64 = 64 * 1024 * 1024;

/// What all sessions may hold together by default, bytes.
pub(super) fn default_max_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    share_of(machine.into_iter().chain(group).min())
}

fn share_of(memory_bytes: Option<u64>) -> u64 {
    memory_bytes.map_or(MAX_BYTES, |bytes| (bytes / SHARE).clamp(MIN_BYTES, MAX_BYTES))
}

/// The machine's memory, from the text of `/proc/meminfo` (proc(5)).
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_machine_within_bounds() {
        assert_eq!(total_bytes("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 * 1024 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
        for (memory, expected) in [
            (Some(8 << 30), 2 << 30),
            (Some(64 << 30), MAX_BYTES),
            (Some(128 << 20), MIN_BYTES),
            (None, MAX_BYTES),
        ] {
            assert_eq!(share_of(memory), expected, "{memory:?}");
        }
        assert!((MIN_BYTES..=MAX_BYTES).contains(&default_max_bytes()));
    }
}
