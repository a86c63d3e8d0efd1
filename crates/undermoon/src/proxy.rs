//! `undermoon proxy`: a server proxy.

use ::proxy::config::ProxyConfig;
use anyhow::Context as _;
use service::build_info::BUILD;
use service::shutdown::Shutdown;

use crate::failure::Failure;
use crate::role::{self, RoleArguments};
use crate::settings_help;

const EXAMPLES: &str = "\
Examples:
  undermoon proxy                                    serve on 127.0.0.1:5299 with the defaults
  undermoon proxy proxy.toml                         with the settings of a file
  undermoon proxy proxy.toml --check                 check file and environment, then exit
  UNDERMOON_THREAD_NUMBER=4 undermoon proxy          with one setting changed

A new proxy has no cluster; give it one with UMCTL SETCLUSTER:
  redis-cli -p 5299 UMCTL SETCLUSTER v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-16383

`undermoon proxy --help` lists every setting.";

/// Run a server proxy in front of the Redis servers of this host
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    role: RoleArguments,
}

/// Runs a proxy until it is told to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(loaded) = arguments.role.settings::<ProxyConfig>()? else { return Ok(()) };
    let config = loaded.settings;
    let log = role::start_log(&config.log_level, config.log_format, &loaded.warnings)?;
    tracing::info!("undermoon proxy {BUILD}");
    if config.password.is_none() && !config.address.ip().is_loopback() {
        tracing::warn!("anyone who can reach {} is served: there is no `password`", config.address);
    }
    let shutdown = Shutdown::on_signals().context("cannot catch signals")?;
    ::proxy::run_logged(config, shutdown, Some(log)).map_err(|error| anyhow::Error::from(error).into())
}

/// The examples, and every setting with its environment variable, default, accepted values and meaning.
pub(crate) fn long_help() -> String {
    // The reader of this text has already typed that command.
    let examples = EXAMPLES.replace("\n\n`undermoon proxy --help` lists every setting.", "");
    settings_help::text::<ProxyConfig>(&examples)
}
