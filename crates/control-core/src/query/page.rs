//! Lists of names and addresses.

use model::{Address, ClusterName};

use crate::state::State;
use crate::time::TimeMs;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many to leave out.
    pub offset: usize,
    /// How many at most; `None` is all the rest.
    pub limit: Option<usize>,
}

impl Page {
    fn of<T>(self, items: impl Iterator<Item = T>) -> Vec<T> {
        items.skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect()
    }
}

/// The clusters, by name.
#[must_use]
pub fn cluster_names(state: &State, page: Page) -> Vec<ClusterName> {
    page.of(state.clusters.keys().cloned())
}

/// The registered proxies, by address.
#[must_use]
pub fn proxy_addresses(state: &State, page: Page) -> Vec<Address> {
    page.of(state.proxies.keys().cloned())
}

/// The proxies that have been taken out of service and have not come back.
#[must_use]
pub fn failed_proxies(state: &State) -> Vec<Address> {
    let failed = state.proxies.iter().filter(|(_, proxy)| proxy.failed_since.is_some());
    failed.map(|(address, _)| address.clone()).collect()
}

/// The proxies that enough reporters call failed, and that have not been taken out of service yet.
#[must_use]
pub fn reported_proxies(state: &State, now: TimeMs) -> Vec<Address> {
    state.reported(now).into_iter().collect()
}
