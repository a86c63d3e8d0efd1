//! `undermoon __sweep`: removes a temporary directory once the process that owns it has ended, however it ended.
//!
//! A process that is killed cannot tidy up. This one holds the reading end of a pipe whose writing end only the
//! owner has: the kernel closes it when the owner ends.

use crate::failure::Failure;
use anyhow::Context as _;
use std::io::{ErrorKind, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long removing may be tried again: the servers that write there are being killed at the same time.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause between two tries.
const REMOVE_RETRY: Duration = Duration::from_millis(20);

/// Remove a directory when standard input ends
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory
    directory: PathBuf,
}

/// Starts a sweeper for `directory`; it begins when the returned child's standard input is dropped, or with the end
/// of this process.
pub(crate) fn start(directory: &Path) -> Result<Child, Failure> {
    let itself = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(itself);
    command.arg("__sweep").arg(directory).process_group(0);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    Ok(child.context("cannot start the process that tidies up")?)
}

/// Waits for the end of standard input, then removes the directory.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // An error means the same as the end: nobody is there any more.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let started = Instant::now();
    loop {
        match std::fs::remove_dir_all(&arguments.directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if started.elapsed() >= REMOVE_TIMEOUT => {
                let path = arguments.directory.display();
                return Err(anyhow::Error::from(error).context(format!("cannot remove {path}")).into());
            }
            Err(_) => std::thread::sleep(REMOVE_RETRY),
        }
    }
}
