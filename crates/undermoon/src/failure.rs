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
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure { exit: Exit::Failure, error }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure { exit: Exit::Configuration, error: error.into() }
    }
}
