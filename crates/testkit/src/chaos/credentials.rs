//! The credentials of the control plane: wrong at one coordinator, and rotated everywhere.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use super::CLUSTER;
use crate::managed::ManagedCluster;
use crate::managed::service::Service;
use crate::wait::{Deadline, retry_until};

/// The token that brokers want for changes at first.
pub(super) const WRITE_TOKEN: &str = "the brokers' own";
/// How long the cluster may take until it is whole after one proxy was given another password.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// What a coordinator shows to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// To proxies, when it gives orders.
    ControlPassword,
    /// To brokers, when it changes the metadata.
    WriteToken,
}

impl Credential {
    /// Its settings: at those who want it, and at coordinators.
    const fn settings(self) -> (&'static str, &'static str) {
        match self {
            Self::ControlPassword => ("control_password", "proxy_control_password"),
            Self::WriteToken => ("write_token", "broker_token"),
        }
    }

    /// Starts a coordinator again with a wrong one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn spoil(self, coordinator: &mut Service) -> Result<()> {
        self.give(coordinator, "none that anybody knows")
    }

    /// The one that others want.
    pub(super) fn wanted(self, cluster: &mut ManagedCluster) -> Option<String> {
        let service = match self {
            Self::ControlPassword => &mut cluster.hosts.first_mut()?.proxy,
            Self::WriteToken => cluster.brokers.first_mut()?,
        };
        let (name, _) = self.settings();
        let found = service.recipe().settings.iter().find(|(setting, _)| setting == name);
        found.map(|(_, value)| value.clone())
    }

    /// Starts a coordinator again with this one.
    ///
    /// # Errors
    /// As [`spoil`](Self::spoil).
    pub(super) fn give(self, coordinator: &mut Service, value: &str) -> Result<()> {
        set(coordinator, self.settings().1, value);
        coordinator.restart()?;
        coordinator.wait_listening()
    }

    /// Gives everybody a new one, as an operator would do it who wants no shard without service: one process after
    /// the other, and one coordinator first, so that every proxy has one that it lets in.
    ///
    /// # Errors
    /// When a process cannot be started, or the cluster does not become whole after a step.
    pub(super) fn rotate(self, cluster: &mut ManagedCluster) -> Result<()> {
        let next = format!("{}+", self.wanted(cluster).unwrap_or_default());
        let (name, _) = self.settings();
        let early = usize::from(self == Self::ControlPassword);
        for coordinator in cluster.coordinators.iter_mut().take(early) {
            self.give(coordinator, &next)?;
        }
        match self {
            Self::ControlPassword => {
                for host in 0..cluster.hosts.len() {
                    let proxy = &mut cluster.hosts[host].proxy;
                    set(proxy, name, &next);
                    proxy.restart()?;
                    proxy.wait_answering()?;
                    let what = format!("the cluster is whole with a new password at host {host}");
                    retry_until(Deadline::within(STEP_LIMIT), &what, || cluster.check_whole(CLUSTER))?;
                }
            }
            Self::WriteToken => {
                for broker in &mut cluster.brokers {
                    set(broker, name, &next);
                    broker.restart()?;
                    broker.wait_listening()?;
                }
                cluster.use_token(&next)?;
            }
        }
        for coordinator in cluster.coordinators.iter_mut().skip(early) {
            self.give(coordinator, &next)?;
        }
        Ok(())
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ControlPassword => "control password",
            Self::WriteToken => "write token",
        })
    }
}

/// Sets a setting of a process for its next start.
fn set(service: &mut Service, name: &str, value: &str) {
    let settings = &mut service.recipe().settings;
    settings.retain(|(setting, _)| setting != name);
    settings.push((name.to_owned(), value.to_owned()));
}
