//! Processes that a run starts. None of them outlives it: each is stopped by its own id when dropped, and by
//! the kernel when this process is killed. It must never stop a process that it did not start.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::cores;

/// Lines of a child's log that an error shows.
const LOG_LINES_SHOWN: usize = 5;
/// Pause between two looks at something that is about to be ready.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running child.
#[derive(Debug)]
pub struct Child {
    process: Process,
    name: String,
    log: PathBuf,
}

/// Makes the command line that starts `program` on `cores`.
///
/// `setpriv` asks the kernel to kill it when the thread that started it ends, and `taskset` pins it before
/// its first instruction; both replace themselves by it, so the process id stays. Doing the same between
/// fork and exec would need unsafe code.
#[must_use]
pub fn command(cores: &[usize], program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "taskset", "-c", &cores::list(cores)]).arg(program);
    command.stdin(Stdio::null());
    command
}

impl Child {
    /// Starts a server; what it prints goes to a file in `folder`.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn start(mut command: Command, name: &str, folder: &Path) -> anyhow::Result<Child> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdout(file.try_clone()?).stderr(file);
        let process = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Child { process, name: name.to_owned(), log })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks `ready` again and again until it answers, or `limit` has passed, or the child has ended.
    ///
    /// # Errors
    /// In the last two cases; the end of its log is part of the message.
    pub fn wait_until<T>(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        loop {
            // Looked at first: another process may have taken the port of a child that could not start.
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status}\n{}", self.name, self.log_end());
            }
            match ready() {
                Ok(value) => return Ok(value),
                Err(error) if begin.elapsed() > limit => {
                    return Err(error.context(format!("{} is not ready\n{}", self.name, self.log_end())));
                }
                Err(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    fn log_end(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

/// Runs a command to its end and gives what it printed. The output must fit in a pipe (64 KiB).
///
/// # Errors
/// When it cannot be started, runs longer than `limit` (it is stopped then), or fails.
pub fn output(mut command: Command, limit: Duration) -> anyhow::Result<String> {
    let name = format!("{command:?}");
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Err(error) = wait_for_end(&process, limit) {
        stop(&mut process);
        return Err(error.context(name));
    }
    let output = process.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A port of 127.0.0.1 on which nothing listens now. Someone may take it before it is used, so whoever
/// starts a server there must look whether the server still runs.
///
/// # Errors
/// When none is left.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn wait_for_end(process: &Process, limit: Duration) -> anyhow::Result<()> {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("process id")?;
    let watch = pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = Timespec::try_from(limit)?;
    let ended = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&timeout))?;
    ensure!(ended > 0, "still running after {} s", limit.as_secs());
    Ok(())
}

fn stop(process: &mut Process) {
    // It may have ended by itself, which is as good.
    let _ = process.kill();
    let _ = process.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = command(&cores::granted().unwrap()[..1], Path::new("sh"));
        command.args(["-c", script]);
        command
    }

    #[test]
    fn outputs_and_failures() {
        let second = Duration::from_secs(20);
        assert_eq!(output(shell("echo one"), second).unwrap(), "one\n");
        let failed = output(shell("echo why >&2; exit 3"), second).unwrap_err().to_string();
        assert!(failed.contains("why"), "{failed}");
        let late = output(shell("exec sleep 60"), Duration::from_millis(30)).unwrap_err();
        assert!(format!("{late:#}").contains("still running"), "{late:#}");
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let child = Child::start(shell("exec sleep 60"), "sleeper", folder.path()).unwrap();
        let place = PathBuf::from(format!("/proc/{}", child.pid()));
        assert!(place.exists());
        drop(child);
        assert!(!place.exists());
    }

    #[test]
    fn a_child_that_ends_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Child::start(shell("echo port taken; exit 1"), "server", folder.path()).unwrap();
        let never = || -> anyhow::Result<()> { bail!("not yet") };
        let error = child.wait_until(Duration::from_secs(20), never).unwrap_err().to_string();
        assert!(error.contains("port taken"), "{error}");
    }
}
