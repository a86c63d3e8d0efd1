//! Which core each process runs on, so that the measured process has one to itself.
//! It must never use a core that the operating system does not grant to this process.

use anyhow::{Context as _, ensure};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of one group of measurements. Lists are never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    /// Of the measured process.
    pub proxy: Vec<usize>,
    /// Of the Redis behind it.
    pub backend: Vec<usize>,
    /// Of the load generator.
    pub load: Vec<usize>,
}

impl Cores {
    /// The measured process alone on the first core, Redis and the load together on the second.
    ///
    /// # Errors
    /// With fewer than two cores nothing can be measured apart.
    pub fn paired(granted: &[usize]) -> anyhow::Result<Cores> {
        ensure!(granted.len() >= 2, "two cores are needed, {} granted", granted.len());
        Ok(Cores { proxy: vec![granted[0]], backend: vec![granted[1]], load: vec![granted[1]] })
    }

    /// Two cores for two workers, one for Redis, and the rest for the load, which must not be what limits.
    /// `None` with fewer than four cores: there two workers cannot be told from one.
    #[must_use]
    pub fn scaling(granted: &[usize]) -> Option<Cores> {
        let load = granted.get(3..).filter(|rest| !rest.is_empty())?.to_vec();
        Some(Cores { proxy: granted[..2].to_vec(), backend: vec![granted[2]], load })
    }
}

/// The cores that this process may use, in order.
///
/// # Errors
/// When the kernel does not answer.
pub fn granted() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("reading the cores of this process")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Puts the calling thread, and whatever it starts later, on `cores`.
///
/// # Errors
/// When the kernel refuses.
pub fn pin_self(cores: &[usize]) -> anyhow::Result<()> {
    sched_setaffinity(None, &set_of(cores)).with_context(|| format!("pinning to {cores:?}"))
}

/// Puts every thread of a process on `cores`; threads that it starts later inherit it.
///
/// # Errors
/// When the process does not exist or belongs to someone else.
pub fn pin_process(pid: u32, cores: &[usize]) -> anyhow::Result<()> {
    let folder = format!("/proc/{pid}/task");
    for entry in std::fs::read_dir(&folder).with_context(|| format!("process {pid}"))? {
        let name = entry?.file_name();
        let thread: Option<i32> = name.to_str().and_then(|text| text.parse().ok());
        let Some(thread) = thread.and_then(Pid::from_raw) else { continue };
        sched_setaffinity(Some(thread), &set_of(cores)).with_context(|| format!("pinning {pid}"))?;
    }
    Ok(())
}

/// The form that `taskset -c` reads.
#[must_use]
pub fn list(cores: &[usize]) -> String {
    cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn set_of(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let paired = |proxy, other| Cores { proxy: vec![proxy], backend: vec![other], load: vec![other] };
        let cases = [
            (vec![0], None, None),
            (vec![0, 1], Some(paired(0, 1)), None),
            (vec![2, 5, 7], Some(paired(2, 5)), None),
            (
                vec![0, 1, 2, 3, 4],
                Some(paired(0, 1)),
                Some(Cores { proxy: vec![0, 1], backend: vec![2], load: vec![3, 4] }),
            ),
        ];
        for (granted, expected, scaling) in cases {
            assert_eq!(Cores::paired(&granted).ok(), expected, "{granted:?}");
            assert_eq!(Cores::scaling(&granted), scaling, "{granted:?}");
        }
        assert_eq!(list(&[1, 3]), "1,3");
    }
}
