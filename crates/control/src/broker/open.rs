//! Opening the store that the configuration names.

use std::path::Path;
use std::time::{Duration, Instant};

use control_core::{Command, StoreSettings};
use service::config::Count;
use tokio::net::TcpStream;
use tracing::warn;

use crate::config::{BrokerConfig, RestartedPrimaryPolicy, StoreKind, Text};
use crate::run_error::RunError;
use crate::store::{Embedded, Etcd, EtcdOptions, Metadata, StoreError};

/// How long a broker that starts waits for an etcd that cannot be reached.
const ETCD_WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two attempts.
const ETCD_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// An attempt that takes this long had no answer: a refusal comes sooner.
const ETCD_HANGS: Duration = Duration::from_secs(2);

/// Opens the store and gives it the settings of this broker.
///
/// # Errors
/// [`RunError::Store`] or [`RunError::Settings`].
pub async fn open_metadata(config: &BrokerConfig) -> Result<Metadata, RunError> {
    let metadata = match config.store {
        StoreKind::Embedded => {
            let path = config.meta_filename.0.clone();
            let opened = tokio::task::spawn_blocking(move || Embedded::open(Path::new(&path))).await;
            let store = opened.map_err(|error| RunError::System("opening the store", error.into()))??;
            Metadata::open(store).await?
        }
        StoreKind::Etcd => {
            let options = etcd_options(config).await?;
            open_etcd(&options).await?
        }
    };
    let state = &metadata.snapshot().state;
    let settings = wanted(config, &state.settings);
    let by = || Some(format!("broker {}, by its configuration", config.address));
    if state.settings != settings {
        metadata.change_by(Command::Configure(settings), by()).await?;
    }
    let replicas: Vec<String> = config.replica_addresses.iter().map(|address| address.0.clone()).collect();
    // None in the configuration leaves alone what was set by the API.
    if !replicas.is_empty() && state.replica_addresses != replicas {
        metadata.change_by(Command::SetReplicaAddresses(replicas), by()).await?;
    }
    Ok(metadata)
}

/// The settings as they are, with those in their places that this broker is configured to have: one that leaves a setting
/// open does not take back what another has set.
fn wanted(config: &BrokerConfig, held: &StoreSettings) -> StoreSettings {
    StoreSettings {
        failure_ttl_ms: config.failure_ttl.map_or(held.failure_ttl_ms, |ttl| ttl.unsigned() * 1000),
        failure_quorum: config.failure_quorum.map_or(held.failure_quorum, Count::size),
        migration_limit: config.migration_limit.map_or(held.migration_limit, Count::size),
        ordered_proxies: config.enable_ordered_proxy.unwrap_or(held.ordered_proxies),
        restarted_primary: config
            .restarted_primary
            .map_or(held.restarted_primary, RestartedPrimaryPolicy::setting),
    }
}

/// Opens the metadata in etcd. After a loss of power broker and etcd start at the same time, and etcd may take longer:
/// while it does not listen, or listens and hangs, it is waited for. What it refuses is told at once.
async fn open_etcd(options: &EtcdOptions) -> Result<Metadata, StoreError> {
    let begun = Instant::now();
    loop {
        let attempt = Instant::now();
        let is_listening = listens(&options.endpoints).await;
        let opened = match Etcd::connect(options).await {
            Ok(etcd) => Metadata::open(etcd).await,
            Err(error) => Err(error),
        };
        let is_away = !is_listening || attempt.elapsed() >= ETCD_HANGS;
        match opened {
            Err(StoreError::Unavailable(error)) if is_away && begun.elapsed() < ETCD_WAIT_MAX => {
                warn!(error, "etcd is waited for");
                tokio::time::sleep(ETCD_RETRY_INTERVAL).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether any of these accepts a connection.
async fn listens(endpoints: &[String]) -> bool {
    for endpoint in endpoints {
        let address = endpoint.rsplit("//").next().unwrap_or_default().trim_end_matches('/');
        let connecting = tokio::time::timeout(ETCD_HANGS, TcpStream::connect(address));
        if matches!(connecting.await, Ok(Ok(_))) {
            return true;
        }
    }
    false
}

async fn etcd_options(config: &BrokerConfig) -> Result<EtcdOptions, RunError> {
    let password = config.etcd_password.as_ref().map_or("", |password| password.expose());
    let identity_pem = match (&config.etcd_certificate, &config.etcd_key) {
        (Some(certificate), Some(key)) => {
            Some((pem("etcd_certificate", certificate).await?, pem("etcd_key", key).await?))
        }
        _ => None,
    };
    Ok(EtcdOptions {
        endpoints: config.etcd_endpoints.iter().map(|endpoint| endpoint.0.clone()).collect(),
        prefix: config.etcd_prefix.0.clone(),
        user: config.etcd_user.as_ref().map(|user| (user.0.clone(), password.to_owned())),
        authority_pem: match &config.etcd_authority {
            Some(authority) => Some(pem("etcd_authority", authority).await?),
            None => None,
        },
        identity_pem,
    })
}

async fn pem(setting: &'static str, path: &Text) -> Result<Vec<u8>, RunError> {
    let read = tokio::fs::read(&path.0).await;
    read.map_err(|error| RunError::Pem { setting, path: path.0.clone(), error })
}
