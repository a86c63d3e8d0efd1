//! `undermoon control`: broker and coordinator in one process, for small installations.

use std::path::PathBuf;

use ::control::broker;
use ::control::config::BrokerConfig;
use ::control::coordinator::{self, CoordinatorConfig, LocalBroker};
use anyhow::Context as _;
use service::build_info::BUILD;
use service::config::{Loaded, load};
use service::shutdown::{Phase, Shutdown};

use crate::failure::Failure;
use crate::role;

const EXAMPLES: &str = "\
Examples:
  undermoon control                                  broker on 127.0.0.1:7799, coordinator on 127.0.0.1:6699
  undermoon control broker.toml coordinator.toml     with the settings of files
  undermoon control broker.toml coordinator.toml --check

The environment (UNDERMOON_<SETTING>) wins over both files. This command does not read `UNDERMOON_ADDRESS`, because
broker and coordinator each have an address. `undermoon broker --help` and `undermoon coordinator --help` list the
settings.";

/// The one variable that would mean two things.
const AMBIGUOUS: &str = "UNDERMOON_ADDRESS";
/// Connections that it may need: one to each proxy, and those of clients.
const OPEN_FILES: u64 = 20_000;
/// Threads for both.
const THREADS: usize = 2;

/// Run a broker and a coordinator in one process
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A TOML file with settings of the broker
    #[arg(value_name = "BROKER.TOML")]
    broker: Option<PathBuf>,
    /// A TOML file with settings of the coordinator
    #[arg(value_name = "COORDINATOR.TOML")]
    coordinator: Option<PathBuf>,
    /// The broker's address; wins over the settings
    #[arg(long, value_name = "IP:PORT")]
    broker_address: Option<std::net::SocketAddr>,
    /// The coordinator's address; wins over the settings
    #[arg(long, value_name = "IP:PORT")]
    coordinator_address: Option<std::net::SocketAddr>,
    /// Check the configuration, print each setting with its value and origin, and exit
    #[arg(long)]
    check: bool,
}

/// Runs both until told to stop.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let environment = || std::env::vars_os().filter(|(name, _)| name != AMBIGUOUS);
    let broker: Loaded<BrokerConfig> = load(arguments.broker.as_deref(), environment())?;
    let coordinator: Loaded<CoordinatorConfig> = load(arguments.coordinator.as_deref(), environment())?;
    let warnings = [broker.warnings.as_slice(), &coordinator.warnings].concat();
    if arguments.check {
        role::warn_of(&warnings);
        print!("# broker\n{}\n# coordinator\n{}", broker.to_text(), coordinator.to_text());
        return Ok(());
    }
    let (mut broker, mut coordinator) = (broker.settings, coordinator.settings);
    broker.address = arguments.broker_address.unwrap_or(broker.address);
    coordinator.address = arguments.coordinator_address.unwrap_or(coordinator.address);
    role::start_log(&broker.log_level, broker.log_format, &warnings)?;
    tracing::info!(broker = %broker.address, coordinator = %coordinator.address, "undermoon control {BUILD}");
    service::open_files::allow(OPEN_FILES);
    let shutdown = Shutdown::on_signals().context("cannot follow signals")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the threads")?;
    let outcome = runtime.block_on(serve(&broker, coordinator, shutdown));
    runtime.shutdown_background();
    outcome
}

/// Runs both; when one ends, whatever the reason, so does the other.
async fn serve(
    broker: &BrokerConfig,
    coordinator: CoordinatorConfig,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let listener = broker::bind(broker).map_err(anyhow::Error::from)?;
    let metadata = broker::open_metadata(broker).await.map_err(anyhow::Error::from)?;
    let local = LocalBroker::new(metadata.clone(), &coordinator.reporter());
    let watching = async {
        let outcome = coordinator::run(coordinator, local, shutdown.clone()).await;
        shutdown.advance(Phase::Draining);
        outcome.map_err(anyhow::Error::from)
    };
    let answering = async {
        let outcome = broker::serve(broker, metadata, listener, shutdown.clone()).await;
        shutdown.advance(Phase::Draining);
        outcome.map_err(anyhow::Error::from)
    };
    let (watched, answered) = tokio::join!(watching, answering);
    watched?;
    answered?;
    Ok(())
}
