//! Which brokers are asked, and with which token.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::v4::StateMark;
use api::{BrokerClient, ClientOptions, Endpoint};
use control_core::State;

use super::error::CtlError;

/// The variable that has the token itself. It is no option, because command lines can be read by everybody.
const TOKEN_VARIABLE: &str = "UNDERMOON_TOKEN";

/// How long one broker may take to answer before the next is asked. A wait for changes is shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one look waits for the metadata to change.
pub(super) const LOOK_WAIT: Duration = Duration::from_secs(5);

/// Which brokers, and how to be let in
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A broker: host:port, http://host:port or https://host:port; for several, use commas or repeat the option
    #[arg(
        long,
        global = true,
        env = "UNDERMOON_BROKER",
        value_name = "BROKER",
        value_delimiter = ',',
        default_value = "127.0.0.1:7799"
    )]
    broker: Vec<String>,
    /// A file with the broker's token; UNDERMOON_TOKEN gives the token itself
    #[arg(long, global = true, env = "UNDERMOON_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A certificate authority in PEM that signs the brokers' certificates, beside those of the system
    #[arg(long, global = true, env = "UNDERMOON_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Options {
    /// The client for these brokers.
    pub(super) fn client(&self) -> Result<BrokerClient, CtlError> {
        let endpoints =
            self.broker.iter().map(|broker| broker.parse()).collect::<Result<Vec<Endpoint>, _>>()?;
        let authority_pem = self.ca.as_deref().map(read).transpose()?;
        let options = ClientOptions {
            token: self.token()?,
            actor: Some(actor()),
            authority_pem,
            timeout: ANSWER_TIMEOUT,
            ..ClientOptions::default()
        };
        Ok(BrokerClient::new(endpoints, &options)?)
    }

    fn token(&self) -> Result<Option<String>, CtlError> {
        let bad =
            |place: &str| CtlError::Usage(format!("{place} does not have a token: it is empty or no text"));
        let (place, token) = if let Some(path) = &self.token_file {
            (path.display().to_string(), String::from_utf8(read(path)?).ok())
        } else if let Some(value) = std::env::var_os(TOKEN_VARIABLE) {
            (TOKEN_VARIABLE.to_owned(), value.into_string().ok())
        } else {
            return Ok(None);
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        token.map(Some).ok_or_else(|| bad(&place))
    }
}

/// The user and the machine, for the record of who made a change.
fn actor() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let place =
        [user.trim(), host.trim()].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>();
    format!("ctl {}", place.join("@")).trim().to_owned()
}

/// A file's content; an error names the file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CtlError> {
    let named =
        |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    Ok(std::fs::read(path).map_err(named)?)
}

/// Follows the metadata from one change to the next.
#[derive(Debug)]
pub(super) struct Follower<'a> {
    client: &'a BrokerClient,
    known: Option<StateMark>,
}

impl<'a> Follower<'a> {
    /// One that has seen nothing yet.
    pub(super) const fn new(client: &'a BrokerClient) -> Self {
        Self { client, known: None }
    }

    /// The metadata if it has changed since the last call, or does so within `wait`.
    pub(super) async fn newer(&mut self, wait: Duration) -> Result<Option<State>, CtlError> {
        let answer = self.client.state::<State>(self.known.as_ref(), wait).await?;
        self.known = Some(answer.mark());
        Ok(answer.state)
    }
}

/// The metadata now.
pub(super) async fn state(client: &BrokerClient) -> Result<State, CtlError> {
    // A follower that has seen nothing yet always gets the metadata.
    Ok(Follower::new(client).newer(Duration::ZERO).await?.unwrap_or_default())
}
