//! `undermoon broker`: keeps the metadata and answers the HTTP API.

use ::control::config::BrokerConfig;
use anyhow::Context as _;
use service::build_info::BUILD;
use service::shutdown::Shutdown;

use crate::failure::Failure;
use crate::role::{self, RoleArguments};
use crate::settings_help;

const EXAMPLES: &str = "\
Examples:
  undermoon broker                                   answer on 127.0.0.1:7799, metadata in a file here
  undermoon broker broker.toml                       with the settings of a file
  undermoon broker broker.toml --check               check file and environment, then exit
  UNDERMOON_STORE=etcd UNDERMOON_ETCD_ENDPOINTS=http://127.0.0.1:2379 undermoon broker
                                                     one of several brokers on etcd

  curl http://127.0.0.1:7799/api/v4/health           the broker's health
  curl http://127.0.0.1:7799/api/openapi.json        every call of the broker

`undermoon broker --help` lists every setting.";

/// Run a broker, which keeps the metadata and answers the HTTP API
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    role: RoleArguments,
}

/// Runs a broker until it is told to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(loaded) = arguments.role.settings::<BrokerConfig>()? else { return Ok(()) };
    let config = loaded.settings;
    role::start_log(&config.log_level, config.log_format, &loaded.warnings)?;
    tracing::info!(address = %config.address, store = config.store.word(), "undermoon broker {BUILD}");
    if config.write_token.is_none() && !config.address.ip().is_loopback() {
        tracing::warn!(
            "anyone who can reach {} can change everything: there is no `write_token`",
            config.address
        );
    }
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    ::control::broker::run(&config, shutdown).map_err(|error| anyhow::Error::from(error).into())
}

/// The examples, and every setting with its environment variable, default, accepted values and meaning.
pub(crate) fn long_help() -> String {
    // The reader of this text has already typed that command.
    let examples = EXAMPLES.replace("\n\n`undermoon broker --help` lists every setting.", "");
    settings_help::text::<BrokerConfig>(&examples)
}
