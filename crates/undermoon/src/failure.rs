//! How a subcommand fails: an error for the person, a code for the supervisor.

use service::config::ConfigError;
use service::exit::Exit;

/// The end of a subcommand that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// What to print.
    pub error: anyhow::Error,
    /// Whether it has been printed already, in a form of the subcommand's own.
    pub is_told: bool,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure { exit: Exit::Failure, error, is_told: false }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure { exit: Exit::Configuration, error: error.into(), is_told: false }
    }
}
