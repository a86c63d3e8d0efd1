//! Where a run took place: hardware, kernel, versions of what was measured.
//! It must never name the host or anything private of it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child;

/// How long a program may take to print its version.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// The machine and the programs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that this run could use.
    pub cores: usize,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// Program and what it says of its version.
    pub versions: Vec<(String, String)>,
}

impl Machine {
    /// Looks at this machine and asks each program for its version.
    #[must_use]
    pub fn look(cores: usize, programs: &[(&str, &Path)]) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| {
            let kib: u64 = text.strip_suffix(" kB")?.parse().ok()?;
            Some(kib >> 10)
        });
        Machine {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores,
            memory_mib: memory.unwrap_or(0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            versions: programs.iter().map(|(name, program)| ((*name).to_owned(), version(program))).collect(),
        }
    }
}

/// Today, UTC, as `YYYY-MM-DD`.
///
/// # Errors
/// When `date` cannot be run.
pub fn today() -> anyhow::Result<String> {
    let mut command = Command::new("date");
    command.args(["-u", "+%Y-%m-%d"]);
    Ok(child::output(command, VERSION_LIMIT)?.trim().to_owned())
}

fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let Ok(output) = output else { return "not found".to_owned() };
    // twemproxy prints its version on standard error.
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

fn field(text: &str, name: &str) -> Option<String> {
    let of_line = |line: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let text = "processor\t: 0\nmodel name\t: A: B\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A: B"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn this_machine() {
        let machine = Machine::look(1, &[("none", Path::new("/nonexistent/program"))]);
        assert!(!machine.kernel.is_empty() && machine.memory_mib > 0, "{machine:?}");
        assert_eq!(machine.versions[0].1, "not found");
        assert_eq!(today().unwrap().len(), "2026-01-01".len());
    }
}
