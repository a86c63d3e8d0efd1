//! Processes whose clock shows another time than everybody else's, and goes as fast.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::managed::service::Service;

/// How far apart clocks are at least, in seconds, and what each further choice adds.
const APART_SECONDS: usize = 90;
const STEP_SECONDS: usize = 8;

/// The library that shifts a process's clock, where it is installed; from the package `libfaketime`.
#[must_use]
pub(super) fn library() -> Option<PathBuf> {
    // Below the architecture's folder.
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// Starts a process again with a clock that is minutes ahead or behind: by the choice.
///
/// # Errors
/// When the library is not installed, or the process cannot be started.
pub(super) fn shift(service: &mut Service, choice: usize) -> Result<()> {
    let library = library().context("libfaketime is not installed")?;
    let sign = if (choice / 2).is_multiple_of(2) { '+' } else { '-' };
    let seconds = APART_SECONDS + choice * STEP_SECONDS;
    service.recipe().environment = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("FAKETIME".to_owned(), format!("{sign}{seconds}s")),
        // Only the time of day differs: a clock that runs evenly from the start of the machine is no other on one host.
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ];
    service.restart()
}

/// Starts it again with the machine's clock.
///
/// # Errors
/// When it cannot be started.
pub(super) fn set_right(service: &mut Service) -> Result<()> {
    service.recipe().environment.clear();
    service.restart()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::managed::service::{Place, Recipe};

    #[test]
    fn a_process_is_shown_another_time_and_the_right_one_again() {
        let directory = tempfile::tempdir().unwrap();
        let date = Service::start("date", directory.path(), &Place::default(), |_, _| {
            let program = crate::binary::on_path("date")?;
            Ok(Recipe { program, arguments: vec!["+%s".to_owned()], ..Recipe::default() })
        });
        let mut date = date.unwrap();
        let differs_by = |date: &mut Service| {
            date.process().wait_exit(Duration::from_secs(10)).unwrap();
            let told: i64 = date.log_tail().lines().last().unwrap().parse().unwrap();
            let own = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            told - i64::try_from(own).unwrap()
        };
        assert!(differs_by(&mut date).abs() <= 10);
        for (choice, wanted) in [(0, 90), (2, -106)] {
            shift(&mut date, choice).unwrap();
            assert!((differs_by(&mut date) - wanted).abs() <= 10, "choice {choice}");
        }
        set_right(&mut date).unwrap();
        assert!(differs_by(&mut date).abs() <= 10);
    }
}
