//! CPU time and memory of processes, read from /proc. It must never be slow: it runs around every
//! measurement, though outside its clock.

use std::fs;
use std::time::Instant;

use anyhow::Context as _;

/// Ticks in a second of the times in /proc/stat and /proc/PID/stat: `USER_HZ`, 100 on every common platform.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where `utime`, `stime`, `cutime`, `cstime` stand after the name in /proc/PID/stat, see proc(5).
const STAT_TIMES: std::ops::Range<usize> = 11..15;
/// Columns of the first line of /proc/stat that are not work: idle and waiting for disks.
const STAT_IDLE: [usize; 2] = [3, 4];
/// Columns of that line to count; those after them are already inside the first ones.
const STAT_COLUMNS: usize = 8;

/// All clocks at one instant. Two of them and the requests between give a cost per request.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: Instant,
    process_us: f64,
    backend_us: f64,
    machine_us: f64,
    load_us: f64,
}

/// What was used between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// By the measured process, in µs of CPU.
    pub process_us: f64,
    /// By the Redis behind it, in µs of CPU; 0 where there is none.
    pub backend_us: f64,
    /// By anything that does not belong to the measurement, as a share of one core.
    pub other: f64,
}

impl Reading {
    /// Reads the clocks of the measured processes, their backend, the machine and the load (this process and
    /// those children of it that have ended).
    ///
    /// # Errors
    /// When a process is gone.
    pub fn take(pids: &[u32], backend: Option<u32>) -> anyhow::Result<Reading> {
        Ok(Reading {
            process_us: pids.iter().map(|pid| process_us(*pid)).sum::<anyhow::Result<f64>>()?,
            backend_us: backend.map_or(Ok(0.0), process_us)?,
            machine_us: machine_us(&fs::read_to_string("/proc/stat")?)?,
            load_us: load_us(&fs::read_to_string("/proc/self/stat")?)?,
            at: Instant::now(),
        })
    }

    /// What was used from `earlier` until this reading.
    #[must_use]
    pub fn since(&self, earlier: &Reading) -> Used {
        let process_us = self.process_us - earlier.process_us;
        let backend_us = self.backend_us - earlier.backend_us;
        let wall_us = self.at.duration_since(earlier.at).as_secs_f64() * 1e6;
        let ours_us = process_us + backend_us + self.load_us - earlier.load_us;
        let other = (self.machine_us - earlier.machine_us - ours_us).max(0.0) / wall_us;
        Used { process_us, backend_us, other }
    }
}

/// Resident memory of a process, in KiB.
///
/// # Errors
/// When it is gone.
pub fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    resident_of(&status).with_context(|| format!("no VmRSS of process {pid}"))
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// CPU time of all threads that live, kernel time included. The scheduler counts it in nanoseconds
/// (Documentation/scheduler/sched-stats.rst), unlike the ticks of /proc/PID/stat.
fn process_us(pid: u32) -> anyhow::Result<f64> {
    let mut total_ns: u64 = 0;
    for entry in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(entry?.path().join("schedstat")) else { continue };
        let first = text.split_ascii_whitespace().next().context("empty schedstat")?;
        total_ns += first.parse::<u64>().context("schedstat")?;
    }
    Ok(total_ns as f64 / 1e3)
}

fn machine_us(stat: &str) -> anyhow::Result<f64> {
    let line = stat.lines().next().context("empty /proc/stat")?;
    let columns = line.split_ascii_whitespace().skip(1).take(STAT_COLUMNS).enumerate();
    let ticks = columns
        .filter(|(index, _)| !STAT_IDLE.contains(index))
        .map(|(_, text)| text.parse::<u64>())
        .sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / TICKS_PER_SECOND * 1e6)
}

fn load_us(stat: &str) -> anyhow::Result<f64> {
    // The name is in brackets and may hold anything, so columns are counted from its end.
    let (_, rest) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let columns: Vec<&str> = rest.split_ascii_whitespace().collect();
    let times = columns.get(STAT_TIMES).context("/proc/self/stat is short")?;
    let ticks = times.iter().map(|text| text.parse::<u64>()).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / TICKS_PER_SECOND * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    1234 kB\n"), Some(1234));
        assert_eq!(resident_of("Name:\tx\n"), None);
        let machine = machine_us("cpu  100 2 30 9999 8888 1 2 3 50 60\ncpu0 1\n").unwrap();
        assert_eq!(machine, 138.0 * 1e4);
        let own = load_us("7 (a ) b) S 1 1 1 0 -1 4 5 6 7 8 10 20 30 40 20 0 1").unwrap();
        assert_eq!(own, 100.0 * 1e4);
        assert!(load_us("7 (a) S 1").is_err());
    }

    #[test]
    fn a_busy_thread_is_seen_where_it_belongs() {
        let own = std::process::id();
        let before = Reading::take(&[own], None).unwrap();
        let begin = Instant::now();
        let mut number = 1u64;
        while begin.elapsed().as_millis() < 60 {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        let used = Reading::take(&[own], None).unwrap().since(&before);
        // At least a tenth of the time must have been ours, however busy the machine is.
        assert!(used.process_us > 6_000.0, "{used:?}");
        assert_eq!(used.backend_us, 0.0);
        assert!(resident_kib(own).unwrap() > 100);
    }
}
