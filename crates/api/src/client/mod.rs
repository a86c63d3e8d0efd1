//! A client of the HTTP API that knows several brokers and goes from one that fails to the next.
//!
//! ```text
//!   no connection          next broker, whatever the call: nothing was sent
//!   503, or 500 EXTERNAL   next broker: nothing was done, and that one's store may be within reach
//!   lost after sending     next broker for GET and PUT, which may be done twice; else [`ClientError::Unknown`],
//!                          and the next call goes to the next broker
//!   503 STOOD_STILL        the same; of the last broker it is asked for again until it has settled
//!   any other answer       the answer
//! ```

mod calls;
mod error;
mod options;
mod reason;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use model::Epoch;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ErrorBody, STOOD_STILL};
pub use error::ClientError;
pub use options::{ClientOptions, Endpoint};
use reason::reason;

/// The code with which a broker says that it cannot use its store, and that nothing was changed.
const STORE_AWAY: &str = "EXTERNAL";

/// Between two calls to a broker that stood still, and how often it is called again: twice as long as it takes to settle.
const SETTLING_PAUSE: Duration = Duration::from_millis(100);
const SETTLING_CALLS_MAX: usize = 10;

/// A client of one or more brokers that share their metadata. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BrokerClient {
    http: reqwest::Client,
    endpoints: Arc<[Endpoint]>,
    /// The broker that is asked first: the one that answered last, unless it has failed since.
    preferred: Arc<AtomicUsize>,
    token: Option<Arc<str>>,
    /// How long one broker may take, where that is not what the options say.
    limit: Option<Duration>,
    /// Of the preferred broker and those after it, how many are asked last.
    passed_over: usize,
    /// The epoch that a cluster must have for changes of it to be made.
    only_at: Option<Epoch>,
    /// What is said with each call in the header for that.
    said: Option<Arc<str>>,
}

/// The answer of the broker that answered.
struct Delivered {
    endpoint: Endpoint,
    status: StatusCode,
    bytes: Vec<u8>,
    asked: Instant,
}

/// What became of a call at one broker.
enum Outcome {
    Answer(StatusCode, Vec<u8>),
    NotSent(reqwest::Error),
    Lost(reqwest::Error),
}

impl BrokerClient {
    /// A client of these brokers, of which there is at least one.
    ///
    /// # Errors
    /// [`ClientError::Options`] when there is none, or the certificate cannot be used.
    pub fn new(endpoints: Vec<Endpoint>, options: &ClientOptions) -> Result<Self, ClientError> {
        if endpoints.is_empty() {
            return Err(ClientError::Options("no broker is named".to_owned()));
        }
        Ok(Self {
            http: options.http_client()?,
            endpoints: endpoints.into(),
            preferred: Arc::new(AtomicUsize::new(0)),
            token: options.token.as_deref().map(Arc::from),
            limit: None,
            passed_over: 0,
            only_at: None,
            said: None,
        })
    }

    /// Whether there is another broker to ask when one does not answer.
    #[must_use]
    pub fn knows_several(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// The same client, with another limit to how long one broker may take to answer.
    #[must_use]
    pub fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    /// The same client, which asks the broker last that this one asks first.
    #[must_use]
    pub fn from_the_next(&self) -> Self {
        Self { passed_over: self.passed_over + 1, ..self.clone() }
    }

    /// The same client, whose deletions and scalings of a cluster are made only while that has this epoch (`If-Match`): a
    /// broker refuses them with CHANGED otherwise.
    #[must_use]
    pub fn only_at(&self, epoch: Epoch) -> Self {
        Self { only_at: Some(epoch), ..self.clone() }
    }

    /// The same client, which says this with each call in [`crate::READING_HEADER`].
    #[must_use]
    pub fn saying(&self, said: &str) -> Self {
        Self { said: Some(Arc::from(said)), ..self.clone() }
    }

    /// Makes one call and reads its JSON answer. `path` begins with a slash.
    ///
    /// # Errors
    /// As [`ClientError`] says.
    pub async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<A, ClientError> {
        self.call_timed(method, path, body).await.map(|(answer, _)| answer)
    }

    /// The same, and when the broker that answered was asked: those before it may have hung for long.
    async fn call_timed<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(A, Instant), ClientError> {
        let body = match body {
            Some(body) => Some(serde_json::to_vec(body).map_err(|error| ClientError::BadAnswer {
                endpoint: String::new(),
                reason: format!("the request cannot be written as JSON: {error}"),
            })?),
            None => None,
        };
        let Delivered { endpoint, status, bytes, asked } =
            self.deliver(&method, path, body.as_deref()).await?;
        let bad = |reason: String| ClientError::BadAnswer { endpoint: endpoint.to_string(), reason };
        if !status.is_success() {
            let body: ErrorBody = serde_json::from_slice(&bytes)
                .map_err(|_| bad(format!("status {status} without an error in JSON")))?;
            return Err(ClientError::Refused { status: status.as_u16(), body });
        }
        // A call that answers nothing is read as JSON's null.
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        let answer = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        Ok((answer, asked))
    }

    /// Sends the call to one broker after the other until one answers.
    async fn deliver(
        &self,
        method: &Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Delivered, ClientError> {
        let first = self.preferred.load(Ordering::Relaxed) + self.passed_over;
        let is_repeatable = *method == Method::GET || *method == Method::PUT;
        let mut tried = Vec::new();
        for step in 0..self.endpoints.len() {
            let place = (first + step) % self.endpoints.len();
            let (endpoint, mut asked) = (&self.endpoints[place], Instant::now());
            let mut outcome = self.send(endpoint, method.clone(), path, body).await;
            for _ in 0..SETTLING_CALLS_MAX {
                if step + 1 < self.endpoints.len() || !outcome.has_stood_still() {
                    break;
                }
                tokio::time::sleep(SETTLING_PAUSE).await;
                asked = Instant::now();
                outcome = self.send(endpoint, method.clone(), path, body).await;
            }
            match outcome {
                Outcome::Answer(status, bytes)
                    if step + 1 < self.endpoints.len() && is_undone(status, &bytes) =>
                {
                    tried.push((endpoint.to_string(), String::from_utf8_lossy(&bytes).into_owned()));
                }
                Outcome::Answer(status, bytes) => {
                    self.preferred.store(place, Ordering::Relaxed);
                    return Ok(Delivered { endpoint: endpoint.clone(), status, bytes, asked });
                }
                Outcome::Lost(error) if !is_repeatable => {
                    // Whoever tries again, or asks what became of it, need not wait for the same broker again.
                    self.preferred.store((place + 1) % self.endpoints.len(), Ordering::Relaxed);
                    return Err(ClientError::Unknown {
                        endpoint: endpoint.to_string(),
                        reason: reason(&error),
                    });
                }
                Outcome::NotSent(error) | Outcome::Lost(error) => {
                    tried.push((endpoint.to_string(), reason(&error)));
                }
            }
        }
        Err(ClientError::Unreachable { tried })
    }

    async fn send(&self, endpoint: &Endpoint, method: Method, path: &str, body: Option<&[u8]>) -> Outcome {
        let mut request = self.http.request(method, endpoint.url(path));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(epoch) = self.only_at {
            request = request.header(reqwest::header::IF_MATCH, format!("\"{}\"", epoch.0));
        }
        if let Some(said) = &self.said {
            request = request.header(crate::READING_HEADER, &**said);
        }
        if let Some(limit) = self.limit {
            request = request.timeout(limit);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_vec());
        }
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                match response.bytes().await {
                    Ok(bytes) => Outcome::Answer(status, bytes.to_vec()),
                    Err(error) => Outcome::Lost(error),
                }
            }
            Err(error) if error.is_connect() || error.is_builder() => Outcome::NotSent(error),
            Err(error) => Outcome::Lost(error),
        }
    }
}

impl Outcome {
    /// Whether the broker did nothing, because it cannot tell whether the call is from before it stood still.
    fn has_stood_still(&self) -> bool {
        let Self::Answer(status, bytes) = self else { return false };
        *status == StatusCode::SERVICE_UNAVAILABLE
            && serde_json::from_slice::<ErrorBody>(bytes).is_ok_and(|body| body.error == STOOD_STILL)
    }
}

/// Whether an answer says that nothing was done, and not for want of sense in what was asked.
fn is_undone(status: StatusCode, bytes: &[u8]) -> bool {
    let is_external = || {
        let body = serde_json::from_slice::<ErrorBody>(bytes);
        body.is_ok_and(|body| body.error == STORE_AWAY)
    };
    status == StatusCode::SERVICE_UNAVAILABLE
        || (status == StatusCode::INTERNAL_SERVER_ERROR && is_external())
}
