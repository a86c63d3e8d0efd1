//! The processes that `up` starts: starting, watching and stopping them.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use service::shutdown::{Phase, Shutdown};

use crate::child;
use crate::failure::Failure;

/// How long processes may take to end when asked, before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two looks at processes that are to end.
const STOP_POLL: Duration = Duration::from_millis(10);

/// How many lines of a dead process's log are shown.
const LOG_LINES_SHOWN: usize = 10;

/// How a process is started, as often as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// What it is to a person: "proxy 127.0.0.1:5299".
    pub name: String,
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What is different from this process's environment; none takes a variable away.
    pub environment: Vec<(OsString, Option<OsString>)>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Where what it prints goes, after what is there.
    pub log: PathBuf,
}

/// A running child, or one that has ended.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Recipe {
    /// Starts the program so that it ends with this process.
    pub(crate) fn start(&self) -> Result<Process, Failure> {
        let file = File::options().create(true).append(true).open(&self.log);
        let file = file.with_context(|| format!("cannot create {}", self.log.display()))?;
        let errors = file.try_clone().context("cannot share a log file")?;
        let mut command = child::command(&self.program)?;
        command.args(&self.arguments).current_dir(&self.folder);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        Ok(Process { child, ended: None })
    }

    /// The last lines of the log, one below the other.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        last.iter().map(|line| format!("\n  | {line}")).collect()
    }
}

impl Process {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it ended since the last look.
    pub(crate) fn newly_ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_some() {
            return None;
        }
        // An error means that there is no such child, which cannot be: it is reaped nowhere else.
        self.ended = self.child.try_wait().ok().flatten();
        self.ended
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // A process that has ended but was not reaped takes a signal too, so nobody else can have its number.
        if let (None, Some(pid)) = (self.ended, pid) {
            let _ = kill_process(pid, signal);
        }
    }
}

/// Ends all of the processes: asks, waits, and kills what is left at the time-out or when told to stop at once.
pub(crate) fn stop_all(mut processes: Vec<&mut Process>, shutdown: &Shutdown) {
    processes.iter().for_each(|process| process.signal(Signal::TERM));
    // One that was stopped with SIGSTOP takes no SIGTERM before it goes on.
    processes.iter().for_each(|process| process.signal(Signal::CONT));
    let started = Instant::now();
    while !all_ended(&mut processes) {
        if started.elapsed() >= STOP_TIMEOUT || shutdown.phase() == Phase::Stopping {
            processes.iter().for_each(|process| process.signal(Signal::KILL));
            break;
        }
        std::thread::sleep(STOP_POLL);
    }
    // Only killed ones are left: the kernel ends them.
    for process in processes.iter_mut().filter(|process| process.ended.is_none()) {
        process.ended = process.child.wait().ok();
    }
}

fn all_ended(processes: &mut [&mut Process]) -> bool {
    for process in processes.iter_mut() {
        process.newly_ended();
    }
    processes.iter().all(|process| process.ended.is_some())
}

/// The first of the programs that the search path has.
pub(crate) fn find_program(names: &[&str]) -> Option<OsString> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found =
        |name: &&str| folders.iter().map(|folder| folder.join(name)).find(|file: &PathBuf| is_program(file));
    names.iter().find_map(found).map(PathBuf::into_os_string)
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
