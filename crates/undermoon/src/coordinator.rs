//! `undermoon coordinator`: watches the proxies, and gives each what it should have.

use ::control::coordinator::{CoordinatorConfig, RemoteBroker};
use anyhow::Context as _;
use service::build_info::BUILD;
use service::shutdown::Shutdown;

use crate::failure::Failure;
use crate::role::{self, RoleArguments};
use crate::settings_help;

const EXAMPLES: &str = "\
Examples:
  undermoon coordinator                              work for the broker on 127.0.0.1:7799
  undermoon coordinator coordinator.toml             with the settings of a file
  undermoon coordinator coordinator.toml --check     check file and environment, then exit
  redis-cli -p 6699 CONFIG GET brokers               ask a running coordinator for its brokers

Any number of coordinators may run, each with its own `address` or `reporter_id`.";

/// Connections that a coordinator may need: one to each proxy, and some for pushes.
const OPEN_FILES: u64 = 20_000;

/// Run a coordinator, which watches the proxies and repairs what fails
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    role: RoleArguments,
}

/// Runs a coordinator until it is told to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Some(loaded) = arguments.role.settings::<CoordinatorConfig>()? else { return Ok(()) };
    let config = loaded.settings;
    role::start_log(&config.log_level, config.log_format, &loaded.warnings)?;
    tracing::info!(address = %config.address, "undermoon coordinator {BUILD}");
    service::open_files::allow(OPEN_FILES);
    let brokers = config.broker_address.iter().map(|broker| broker.0.clone()).collect();
    let (token, reporter) = (config.broker_token.as_ref(), config.reporter());
    let broker = RemoteBroker::new(brokers, token, &reporter).context("bad brokers")?;
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.thread_number.size())
        .thread_name("coordinator")
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let outcome = runtime.block_on(::control::coordinator::run(config, broker, shutdown));
    // A push that is on its way is made again by whoever comes next.
    runtime.shutdown_background();
    outcome.map_err(|error| anyhow::Error::from(error).into())
}

/// The examples, and every setting with its environment variable, default, accepted values and meaning.
pub(crate) fn long_help() -> String {
    settings_help::text::<CoordinatorConfig>(EXAMPLES)
}
