//! The coordinator: watches every proxy, tells the broker what it sees, and gives each proxy what it should have.
//!
//! ```text
//!              UMCTL HEALTH, with a lease
//!   proxies ◀────────────────────────────── probes, one for each proxy
//!      ▲                                      │ seen
//!      │ SETREPL, SETCLUSTER, CLEAN           ▼
//!      └────────────────────────── turns: control_core::reconcile ──── commands ──▶ broker
//!                                             ▲                                       │
//!                                             └────────────── readings ◀──────────────┘
//! ```
//! It is stateless: what it knows it has seen itself, and one that restarts watches first. Any number may run.
//! It decides nothing here: what is to be done is [`control_core::reconcile`]'s to say.

mod access;
mod admin;
mod clock;
mod config;
mod hearing;
mod local;
mod metadata;
mod probe;
mod probe_pace;
mod proxies;
mod push;
mod reading;
mod remote;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use control_core::{LeaseTerms, Observed, ReporterId};
use model::Address;
use service::shutdown::{Phase, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tracing::info;

use self::access::ProxyAccess;
pub(crate) use self::access::health;
use self::admin::Admin;
use self::clock::Clock;
pub use self::config::{BrokerAddress, CoordinatorConfig, DEFAULT_PORT, ReporterName};
use self::hearing::HearingHere;
pub use self::local::LocalBroker;
pub use self::metadata::{MetadataError, MetadataSource, Reading};
use self::probe::Probe;
use self::probe_pace::ProbePace;
use self::push::Pusher;
use self::reading::Reader;
pub use self::remote::RemoteBroker;
use self::turn::Turns;

/// Answers that wait for the loop: one of each proxy where there are not more than that. When there are more, probes
/// wait.
const SEEN_MAX: usize = 16 * 1024;

/// Why a coordinator cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// Its address is taken or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// Runs a coordinator until `shutdown` asks it to end. There is nothing to drain: whatever it leaves half done
/// another one, or its own next start, finds and finishes.
///
/// # Errors
/// [`CoordinatorError`].
pub async fn run<M: MetadataSource>(
    config: CoordinatorConfig,
    metadata: M,
    shutdown: Shutdown,
) -> Result<(), CoordinatorError> {
    let address = config.address;
    let listener =
        TcpListener::bind(address).await.map_err(|error| CoordinatorError::Listen(address, error))?;
    let reporter = config.reporter();
    info!(%address, reporter, "coordinating");
    let mut tasks = JoinSet::new();
    let (reporter_name, password) = (reporter.clone(), config.admin_password.clone());
    tasks.spawn(Admin { metadata: metadata.clone(), reporter: reporter_name, password }.serve(listener));
    let (interval, timing) = (config.probe_interval_ms.duration(), config.timing());
    let (pace_sender, pace) = watch::channel(ProbePace::of(0, interval, timing));
    let (readings_sender, readings) = watch::channel(None);
    let (terms_sender, terms) = watch::channel(LeaseTerms::none());
    let (seen_sender, seen) = mpsc::channel(SEEN_MAX);
    let (read_now, clock) = (Arc::new(Notify::new()), Clock::new());
    let hearing = HearingHere::new(clock);
    let reader = Reader {
        metadata: metadata.clone(),
        interval,
        timing,
        now: read_now.clone(),
        readings: readings_sender,
        terms: terms_sender,
        clock,
        hearing: hearing.clone(),
        pace: pace_sender,
    };
    tasks.spawn(Reader::follow_changes(metadata.clone(), read_now.clone()));
    tasks.spawn(reader.run());
    let mut observed = Observed::new(ReporterId(reporter), timing, clock.now());
    observed.may_fail_over = !config.disable_failover;
    let access = ProxyAccess {
        password: config.proxy_password.clone(),
        control_password: config.proxy_control_password.clone(),
        control_port_offset: config.control_port_offset(),
    };
    let (probe_access, probe_pace) = (access.clone(), pace.clone());
    let turns = Turns {
        metadata,
        clock,
        observed,
        pusher: Pusher {
            access,
            limit: config.push_timeout_ms.duration(),
            compress: config.enable_compression,
        },
        probe: Box::new(move |proxy: &Address, now| Probe {
            proxy: proxy.clone(),
            access: probe_access.clone(),
            pace: probe_pace.clone(),
            terms: terms.clone(),
            clock,
            hearing: hearing.clone(),
            now,
            seen: seen_sender.clone(),
            is_said: false,
        }),
        readings,
        read_now,
        pace,
        seen,
    };
    tasks.spawn(turns.run());
    shutdown.reached(Phase::Draining).await;
    info!("no longer coordinating");
    Ok(())
}
