//! How a role starts: its settings are read, or only checked, and what is odd about them goes to the log.

use std::path::PathBuf;

use anyhow::Context as _;
use service::config::{Configuration, Loaded, load};
use service::logging::{LogControl, LogFormat, LogLevel};

use crate::failure::Failure;

/// What the command line of a role that has one file of settings takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArguments {
    /// A TOML file with settings; the environment (UNDERMOON_<SETTING>) wins over it
    #[arg(value_name = "CONFIG.TOML")]
    config: Option<PathBuf>,
    /// Check the configuration, print each setting with its value and origin, and exit
    #[arg(long)]
    check: bool,
}

impl RoleArguments {
    /// The settings; `None` with `--check`, after this call has printed them.
    pub(crate) fn settings<C: Configuration>(&self) -> Result<Option<Loaded<C>>, Failure> {
        let loaded: Loaded<C> = load(self.config.as_deref(), std::env::vars_os())?;
        if self.check {
            warn_of(&loaded.warnings);
            print!("{}", loaded.to_text());
            return Ok(None);
        }
        Ok(Some(loaded))
    }
}

/// Prints what is odd about settings that were only to be checked.
pub(crate) fn warn_of(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// Starts the log with what is odd about the settings.
pub(crate) fn start_log(
    level: &LogLevel,
    format: LogFormat,
    warnings: &[String],
) -> Result<LogControl, Failure> {
    let log = service::logging::start(level, format).context("cannot start the log")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(log)
}
