//! Where brokers are, and how to call them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::HeaderName;

use super::error::ClientError;

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// A connection that was not used for so long is not used again: well before the broker closes it, because a
/// call that meets the closing is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// A broker: `host:port`, `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(String);

impl Endpoint {
    /// The whole address of a path that begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        let text = text.trim().trim_end_matches('/');
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let bad = |why: &str| ClientError::Options(format!("'{text}' is not a broker's address: {why}"));
        let url = reqwest::Url::parse(&whole).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("it begins with http:// or https://"));
        }
        if url.host_str().is_none_or(str::is_empty) || url.path() != "/" || url.query().is_some() {
            return Err(bad("it is a host and a port"));
        }
        Ok(Self(whole))
    }
}

/// How to call brokers.
#[derive(Clone)]
pub struct ClientOptions {
    /// The bearer token.
    pub token: Option<String>,
    /// What the caller calls itself in the events of its changes.
    pub actor: Option<String>,
    /// A certificate authority in PEM that signs the brokers' certificates, beside those of the system.
    pub authority_pem: Option<Vec<u8>>,
    /// How long one broker may take to answer.
    pub timeout: Duration,
    /// How long connecting to one broker may take.
    pub connect_timeout: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            token: None,
            actor: None,
            authority_pem: None,
            timeout: TIMEOUT_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

impl ClientOptions {
    pub(super) fn http_client(&self) -> Result<reqwest::Client, ClientError> {
        crate::tls::prepare();
        let options = |error: reqwest::Error| ClientError::Options(super::reason::reason(&error));
        let mut builder = reqwest::Client::builder()
            .timeout(self.timeout)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        // A name that no header can have is left out: it is only for the record.
        if let Some(actor) = self.actor.as_deref().and_then(|actor| actor.parse().ok()) {
            builder = builder.default_headers(
                [(HeaderName::from_static(crate::actor::ACTOR_HEADER), actor)].into_iter().collect(),
            );
        }
        if let Some(pem) = &self.authority_pem {
            let authority = reqwest::Certificate::from_pem(pem).map_err(options)?;
            builder = builder.tls_certs_merge([authority]);
        }
        builder.build().map_err(options)
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn endpoints() {
        fn check(text: &str, expected: Option<&str>) {
            let found = text.parse::<Endpoint>().ok().map(|endpoint| endpoint.url("/x"));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        check("127.0.0.1:7799", Some("http://127.0.0.1:7799/x"));
        check(" broker:7799/ ", Some("http://broker:7799/x"));
        check("https://broker:7799", Some("https://broker:7799/x"));
        check("http://[::1]:7799", Some("http://[::1]:7799/x"));
        check("ftp://broker", None);
        check("http://broker/path", None);
        check("broker:99999", None);
        check("", None);
    }
}
