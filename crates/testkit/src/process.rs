//! One child process: started so that it cannot outlive the test, watched and stopped by its own pid.
//!
//! A child dies with the *thread* that started it (that is how the kernel defines a parent-death signal), so a
//! server must be dropped in the thread that started it, not kept in a static for several tests.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};

use crate::wait::{Deadline, wait_until};

/// How much of a process's log an error message shows.
const LOG_TAIL_BYTES: usize = 4000;

/// A running child process, killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What the kernel says about a process's memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub resident_bytes: u64,
    /// The most that was resident since the start, or since [`Process::reset_peak_memory`].
    pub peak_bytes: u64,
}

impl Process {
    /// Starts `command` with its output in the file `log`. `name` is what errors call it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(command: &mut Command, name: &str, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening the log {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        die_with_parent(command);
        let child = command.spawn().with_context(|| format!("starting {name}: {command:?}"))?;
        Ok(Self { child, name: name.to_owned(), log: log.to_owned() })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits until the process is gone. Harmless when it already is.
    pub fn kill(&mut self) {
        // Both fail only when the child was reaped before, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends SIGKILL and does not wait. Harmless when the process is gone.
    pub fn send_kill(&mut self) {
        // Fails only when the child was reaped before.
        let _ = self.child.kill();
    }

    /// Sends SIGSTOP: the process stays, with its sockets open, and does nothing. Returns when it is so: on a busy machine
    /// its threads may run on for a moment.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let within = Deadline::within(Duration::from_secs(5));
        wait_until(within, "it is stopped", || self.threads_are_stopped())
    }

    fn threads_are_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).into_iter().flatten();
        let state = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("stat")).ok();
        let mut states = threads.filter_map(Result::ok).filter_map(state);
        // The state follows the name, which is in brackets.
        states.all(|text| {
            text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
        })
    }

    /// Sends SIGCONT, which ends a [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When the process has ended.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends SIGTERM, which asks for an orderly end.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// The exit status, if the process has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub fn wait_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let mut status = None;
        let what = format!("{} exits", self.name);
        wait_until(Deadline::within(within), &what, || {
            status = self.exited();
            status.is_some()
        })
        .map_err(|error| self.explain(&error))?;
        status.context("the wait ended with a status")
    }

    /// Resident and peak memory.
    ///
    /// # Errors
    /// When the process has ended or `/proc` is not there.
    pub fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        Ok(Memory {
            resident_bytes: status_bytes(&status, "VmRSS:")?,
            peak_bytes: status_bytes(&status, "VmHWM:")?,
        })
    }

    /// Makes the peak of [`memory`](Self::memory) begin again at what is resident now.
    ///
    /// # Errors
    /// When the process has ended or `/proc` is not there.
    pub fn reset_peak_memory(&self) -> Result<()> {
        // "5" resets the peak resident set size: proc(5), /proc/[pid]/clear_refs.
        let path = format!("/proc/{}/clear_refs", self.id());
        std::fs::write(&path, "5").with_context(|| format!("writing {path}"))
    }

    /// Wraps an error with what the process last wrote.
    #[must_use]
    pub fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow!("{error:#}\n--- end of the log of {} (pid {})\n{}", self.name, self.id(), self.log_tail())
    }

    /// The end of what the process wrote to its standard output and error.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let start = bytes.len().saturating_sub(LOG_TAIL_BYTES);
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) else {
            bail!("{} has no usable pid", self.name);
        };
        rustix::process::kill_process(pid, signal)
            .with_context(|| format!("sending {signal:?} to {} (pid {})", self.name, self.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads one `Name:   123 kB` line of `/proc/PID/status`.
fn status_bytes(status: &str, field: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes =
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse::<u64>().ok());
    kilobytes.map(|value| value * 1024).with_context(|| format!("no {field} line in the process's status"))
}

/// Has the kernel kill the child when its parent dies, so that a killed test leaves nothing behind.
#[expect(unsafe_code, reason = "there is no safe way to run code between fork and exec")]
fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    let arm = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the line above: then nobody would ever send the signal.
        let alive = rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
        if alive == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::Interrupted.into()) }
    };
    // SAFETY: the closure runs in the forked child before exec, where only async-signal-safe work is allowed: it
    // makes two system calls, and neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(arm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> Process {
        Process::spawn(Command::new("sleep").arg("1000"), "sleep", &directory.join("log")).unwrap()
    }

    fn state(id: u32) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let process = sleeper(directory.path());
        let id = process.id();
        assert!(process.memory().unwrap().resident_bytes > 0);
        drop(process);
        assert_eq!(state(id), None);
    }

    #[test]
    fn freeze_and_thaw() {
        let directory = tempfile::tempdir().unwrap();
        let process = sleeper(directory.path());
        let within = Deadline::within(Duration::from_secs(5));
        process.freeze().unwrap();
        assert_eq!(state(process.id()), Some('T'));
        process.thaw().unwrap();
        wait_until(within, "it goes on", || state(process.id()) == Some('S')).unwrap();
    }

    #[test]
    fn an_end_is_noticed_and_the_log_kept() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut process =
            Process::spawn(Command::new("sh").args(["-c", "echo why; exit 3"]), "sh", &log).unwrap();
        assert_eq!(process.wait_exit(Duration::from_secs(5)).unwrap().code(), Some(3));
        assert!(process.explain(&anyhow!("it ended")).to_string().contains("why"));
    }

    #[test]
    fn a_process_dies_with_the_thread_that_started_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        // Forgotten on purpose: only the kernel is left to stop it.
        let process = std::thread::spawn(move || std::mem::ManuallyDrop::new(sleeper(&path))).join().unwrap();
        let within = Deadline::within(Duration::from_secs(5));
        wait_until(within, "it is dead", || matches!(state(process.id()), None | Some('Z'))).unwrap();
        drop(std::mem::ManuallyDrop::into_inner(process));
    }
}
