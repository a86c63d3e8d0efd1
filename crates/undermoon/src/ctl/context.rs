//! What every subcommand of `ctl` is given.

use api::BrokerClient;

use super::output::Format;

/// What every subcommand is given.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) client: BrokerClient,
    pub(super) format: Format,
}
