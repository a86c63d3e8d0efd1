//! The processes that are measured: how each is started, and what stands behind it.
//! It must never leave a target half started: what is returned answers requests.

mod nutcracker;
mod place;
mod redis;
mod undermoon;
mod unread;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::child::Child;
use crate::cores::{self, Cores};
use crate::options::External;
use crate::plan::{Case, Load};
use place::{Place, Started, expect_answer};
pub use unread::Unread;

/// How often a start is tried again, each time on another port: someone may take a port between the look
/// and the use.
const START_TRIES: usize = 3;
/// Where Debian puts servers, which is not on everybody's PATH.
const SERVER_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// A program that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// twemproxy.
    Nutcracker,
    /// This project's proxy.
    Undermoon {
        /// Worker threads.
        workers: usize,
        /// Whether its batching policies are on, as they are by default.
        batching: bool,
    },
    /// Two of this project's proxies: the one that clients ask has no node and passes everything on to the other.
    Forwarding,
    /// This project's proxy with [`crate::plan::UNREAD_CLIENTS`] clients that send requests and read no reply.
    Unread,
    /// Redis itself, asked directly.
    Redis,
}

/// A process that is measured.
#[derive(Debug)]
pub struct Target {
    /// The name in the tables.
    pub name: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its process id.
    pub pid: u32,
    /// The process id of the proxy behind it, whose work counts with its own.
    pub next_pid: Option<u32>,
    /// Clients of it that read nothing. They are some of the connections of a load.
    pub unread: Vec<Unread>,
    /// The process id of the Redis behind it.
    pub backend_pid: Option<u32>,
    /// The port of the Redis that holds its data (itself, where it is one); absent where it is not known.
    pub store_port: Option<u16>,
    /// The program, for those that were started here.
    pub program: Option<Program>,
    _children: Vec<Child>,
}

/// A place where targets run: a folder for their files, the cores, and one Redis for the proxies.
#[derive(Debug)]
pub struct Site {
    // Fields are dropped in this order, so the server ends before its folder goes.
    backend: Child,
    backend_port: u16,
    cores: Cores,
    programs: Programs,
    folder: TempDir,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `redis-server`.
    pub redis_server: PathBuf,
    /// `redis-benchmark`.
    pub redis_benchmark: PathBuf,
    /// `nutcracker`, where it is installed.
    pub nutcracker: Option<PathBuf>,
    /// `undermoon`, where it was built.
    pub undermoon: Option<PathBuf>,
}

impl Programs {
    /// Looks for the programs; `undermoon` is where it is said to be, or beside this program.
    ///
    /// # Errors
    /// When Redis, without which nothing can be measured, is not installed.
    pub fn find(undermoon: Option<&Path>) -> anyhow::Result<Programs> {
        let needed = |name: &str| {
            find(name).with_context(|| {
                format!("{name} not found: install the packages redis-server and redis-tools")
            })
        };
        for tool in ["setpriv", "taskset"] {
            find(tool).with_context(|| format!("{tool} not found: install the package util-linux"))?;
        }
        let beside = || Some(std::env::current_exe().ok()?.parent()?.join("undermoon"));
        Ok(Programs {
            redis_server: needed("redis-server")?,
            redis_benchmark: needed("redis-benchmark")?,
            nutcracker: find("nutcracker"),
            undermoon: undermoon.map(Path::to_path_buf).or_else(beside).filter(|file| file.is_file()),
        })
    }
}

impl Program {
    /// The name in the tables, by which the goals know it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Program::Nutcracker => "nutcracker".to_owned(),
            Program::Redis => "redis".to_owned(),
            Program::Undermoon { workers: 1, batching: true } => "undermoon".to_owned(),
            Program::Undermoon { workers: 1, batching: false } => "undermoon-unbatched".to_owned(),
            Program::Undermoon { workers, .. } => format!("undermoon-{workers}-workers"),
            Program::Forwarding => "undermoon-forwarding".to_owned(),
            Program::Unread => "undermoon-unread".to_owned(),
        }
    }
}

impl Target {
    /// The load of a case less the clients that are there already and read nothing.
    #[must_use]
    pub fn load(&self, case: &Case) -> Case {
        match case.load {
            Load::Closed { connections, pipeline } => {
                let connections = connections - self.unread.len();
                Case { load: Load::Closed { connections, pipeline }, ..case.clone() }
            }
            Load::Open { .. } | Load::Idle { .. } => case.clone(),
        }
    }
}

impl Site {
    /// Makes the folder and starts the Redis that stands behind the proxies.
    ///
    /// # Errors
    /// When Redis does not start.
    pub fn open(cores: &Cores, programs: &Programs) -> anyhow::Result<Site> {
        let folder = tempfile::Builder::new().prefix("undermoon-bench-").tempdir()?;
        let start = || redis::start(&programs.redis_server, &cores.backend, folder.path(), "backend");
        let (backend, backend_port) = retried(start)?;
        Ok(Site { backend, backend_port, cores: cores.clone(), programs: programs.clone(), folder })
    }

    /// Starts a program on the measured core and waits until it answers.
    ///
    /// # Errors
    /// When it is not installed or does not start; the message says which.
    pub fn start(&self, program: Program) -> anyhow::Result<Target> {
        let name = program.name();
        let started = retried(|| self.start_once(program, &name))?;
        let plain = program == Program::Redis;
        let [child, next @ ..] = started.children.as_slice() else { bail!("{name}: nothing was started") };
        let store_port = if plain { started.port } else { self.backend_port };
        let unread = match program {
            Program::Unread => unread::open(started.port, store_port)?,
            _ => Vec::new(),
        };
        Ok(Target {
            port: started.port,
            pid: child.pid(),
            next_pid: next.first().map(Child::pid),
            unread,
            backend_pid: (!plain).then(|| self.backend.pid()),
            store_port: Some(store_port),
            program: Some(program),
            name,
            _children: started.children,
        })
    }

    /// Takes in a process that someone else started, pinning it and the Redis behind it.
    ///
    /// # Errors
    /// When it does not exist or does not answer.
    pub fn adopt(&self, external: &External, backend_pid: Option<u32>) -> anyhow::Result<Target> {
        cores::pin_process(external.pid, &self.cores.proxy)?;
        if let Some(pid) = backend_pid {
            cores::pin_process(pid, &self.cores.backend)?;
        }
        expect_answer(external.port).with_context(|| external.name.clone())?;
        Ok(Target {
            name: external.name.clone(),
            port: external.port,
            pid: external.pid,
            next_pid: None,
            unread: Vec::new(),
            backend_pid,
            store_port: None,
            program: None,
            _children: Vec::new(),
        })
    }

    /// The cores of this place.
    #[must_use]
    pub fn cores(&self) -> &Cores {
        &self.cores
    }

    fn start_once(&self, program: Program, name: &str) -> anyhow::Result<Started> {
        let folder = self.folder.path();
        let place = Place { cores: &self.cores.proxy, folder, name, backend_port: self.backend_port };
        let ours = || {
            let file = self.programs.undermoon.as_deref();
            file.context("not found: build it, or name it with --undermoon")
        };
        match program {
            Program::Redis => redis::start(&self.programs.redis_server, place.cores, folder, name),
            Program::Nutcracker => {
                let file = self.programs.nutcracker.as_deref();
                nutcracker::start(file.context("not found: install the package nutcracker")?, &place)
            }
            Program::Undermoon { workers, batching } => undermoon::start(ours()?, &place, workers, batching),
            Program::Unread => undermoon::start(ours()?, &place, 1, true),
            Program::Forwarding => return undermoon::start_forwarding(ours()?, &place),
        }
        .map(Started::one)
    }
}

/// Looks for a program on PATH and where servers are installed.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SERVER_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn retried<T>(mut start: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    for _ in 1..START_TRIES {
        if let Ok(started) = start() {
            return Ok(started);
        }
    }
    start()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_programs_apart() {
        let ours = |workers, batching| Program::Undermoon { workers, batching }.name();
        let others = [Program::Redis, Program::Nutcracker, Program::Forwarding, Program::Unread];
        let names: Vec<String> = [ours(1, true), ours(1, false), ours(2, true)]
            .into_iter()
            .chain(others.map(Program::name))
            .collect();
        let unique: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
    }

    #[test]
    fn programs_are_found_or_not() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-here"), None);
    }
}
