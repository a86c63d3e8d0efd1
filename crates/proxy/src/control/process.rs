//! The facts of this process that INFO shows.

use std::time::{SystemTime, UNIX_EPOCH};

use service::metrics::resident_bytes;

/// Hex digits of a run id.
const RUN_ID_DIGITS: usize = 40;

/// What does not change while the process runs.
#[derive(Debug)]
pub(super) struct ProcessFacts {
    /// System, release and machine.
    pub(super) os: String,
    /// Drawn at the start.
    pub(super) run_id: String,
    /// Unix time of the start.
    pub(super) started_ms: u64,
}

/// What does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessUse {
    /// Memory that it occupies.
    pub(super) rss_bytes: u64,
    /// The most that it ever occupied.
    pub(super) rss_peak_bytes: u64,
    /// Processor time in the kernel.
    pub(super) system_cpu_us: u64,
    /// Processor time outside of it.
    pub(super) user_cpu_us: u64,
}

impl ProcessFacts {
    /// Looks once.
    pub(super) fn gather() -> ProcessFacts {
        let uname = rustix::system::uname();
        let words = [uname.sysname(), uname.release(), uname.machine()];
        let os = words.map(|word| word.to_string_lossy().into_owned()).join(" ");
        let started_us = unix_us();
        ProcessFacts { os, run_id: run_id(started_us), started_ms: started_us / 1000 }
    }
}

impl ProcessUse {
    /// Looks now; what the system does not tell is 0.
    pub(super) fn now() -> ProcessUse {
        let rss_bytes = resident_bytes().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        let (user_cpu_us, system_cpu_us) = cpu_us().unwrap_or((0, 0));
        ProcessUse {
            rss_bytes,
            rss_peak_bytes: peak.map_or(rss_bytes, |kibibytes| kibibytes * 1024),
            system_cpu_us,
            user_cpu_us,
        }
    }
}

/// Processor time outside of the kernel and inside, from proc(5): fields 14 and 15 in ticks of 10 ms. The program's
/// name, in parentheses, may hold spaces, so fields are counted from its end.
fn cpu_us() -> Option<(u64, u64)> {
    const TICK_US: u64 = 10_000;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some((ticks.next()?? * TICK_US, ticks.next()?? * TICK_US))
}

/// Unix time in µs.
pub(super) fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Tells two runs apart: the start's moment and the process's number, spread over all digits.
fn run_id(started_us: u64) -> String {
    let mut state = started_us ^ (u64::from(std::process::id()) << 40);
    let mut id = String::with_capacity(RUN_ID_DIGITS + 16);
    while id.len() < RUN_ID_DIGITS {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        id += &format!("{:016x}", word ^ (word >> 31));
    }
    id.truncate(RUN_ID_DIGITS);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_forty_digits_and_differ() {
        let (one, other) = (run_id(1), run_id(2));
        assert_eq!((one.len(), other.len()), (RUN_ID_DIGITS, RUN_ID_DIGITS));
        assert_ne!(one, other);
        assert!(one.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }

    #[test]
    fn a_process_uses_something() {
        let used = ProcessUse::now();
        assert!(used.rss_bytes > 0 && used.rss_peak_bytes > 0);
        assert!(ProcessFacts::gather().os.starts_with("Linux "));
    }
}
