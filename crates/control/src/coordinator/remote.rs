//! Brokers elsewhere, over HTTP.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use api::v4::{Observations, StateAnswer, StateMark};
use api::{BrokerClient, ClientError, ClientOptions, Endpoint};
use control_core::{Command, ReadingNote, Reply, State};
use service::config::Secret;

use super::clock::whole_ms;
use super::metadata::{MetadataError, MetadataSource, Reading};
use crate::reading_note;

/// How long one broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long one of several may take over a reading before another is asked beside it: one that hangs must not keep
/// leases from being renewed, and one that is only slow is not asked in vain.
const PATIENCE: Duration = Duration::from_millis(100);
/// Or that many times as long as the last reading took, where that is longer: much metadata takes its time, and must not
/// be read twice each time.
const PATIENCE_READINGS: u32 = 2;
/// But never longer than this: a reading that was slow once, on a busy machine, must not make the next one late for a lease.
const PATIENCE_MAX: Duration = Duration::from_millis(200);
/// How long one of several may take to do something. When it is not known whether it was done, that is read again.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a broker is to wait for a change: well below what it may take to answer.
const CHANGE_WAIT: Duration = Duration::from_secs(1);
/// How long one broker may take to hear what is seen.
const OBSERVE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long connecting to one broker may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// One or more brokers that share their metadata. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RemoteBroker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ClientOptions,
    current: RwLock<(Vec<String>, BrokerClient)>,
    last: Mutex<Option<(StateMark, Arc<State>)>>,
    /// How long the last reading took that did not wait for a change, in milliseconds.
    last_took_ms: AtomicU64,
}

impl RemoteBroker {
    /// The brokers at these addresses, for the coordinator of that name.
    ///
    /// # Errors
    /// When an address cannot be one.
    pub fn new(brokers: Vec<String>, token: Option<&Secret>, reporter: &str) -> Result<Self, ClientError> {
        let token = token.map(|token| token.expose().to_owned());
        let options = ClientOptions {
            token,
            actor: Some(format!("coordinator {reporter}")),
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            ..ClientOptions::default()
        };
        let client = client(&brokers, &options)?;
        let current = RwLock::new((brokers, client));
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                current,
                last: Mutex::default(),
                last_took_ms: AtomicU64::new(0),
            }),
        })
    }

    fn client(&self) -> BrokerClient {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// What a broker has, once it is new or the time is over; and whether it is new.
    async fn ask(&self, wait: Duration, said: &str) -> Result<(Reading, bool), MetadataError> {
        let client = self.client().saying(said);
        let known = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mark, state) = known.unzip();
        let (answer, at) = self.ask_in_time(&client, mark.as_ref(), wait).await.map_err(unreachable)?;
        let (mark, is_news) = (answer.mark(), answer.state.is_some());
        let history = mark.history.clone();
        let (answered, leases_left_ms) = (answer.state, answer.leases_left_ms);
        let Some(state) = answered.map(Arc::new).or(state) else {
            return Err(MetadataError::Unreachable("a broker answered no metadata".to_owned()));
        };
        // Two may ask at once. What either has learned is right; a repeated answer costs a turn.
        if is_news {
            let mut last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((mark, Arc::clone(&state)));
        }
        Ok((Reading { leases_left_ms, history, ..Reading::new(state, at) }, is_news))
    }

    async fn ask_in_time(
        &self,
        client: &BrokerClient,
        known: Option<&StateMark>,
        wait: Duration,
    ) -> Result<(StateAnswer<State>, Instant), ClientError> {
        if !client.knows_several() {
            return client.state_timed(known, wait).await;
        }
        let last_took = Duration::from_millis(self.shared.last_took_ms.load(Ordering::Relaxed));
        let patience = PATIENCE.max(last_took * PATIENCE_READINGS).min(PATIENCE_MAX);
        let next = client.from_the_next();
        tokio::pin! {
            let first = client.state_timed(known, wait);
            let second = next.state_timed(known, wait);
        }
        // Each asks all brokers, so the one that failed has nothing to add.
        let answer = tokio::select! {
            answer = &mut first => answer,
            () = tokio::time::sleep(wait + patience) => tokio::select! {
                answer = &mut first => if answer.is_ok() { answer } else { second.await },
                answer = &mut second => if answer.is_ok() { answer } else { first.await },
            },
        };
        if let Some((_, at)) = answer.as_ref().ok().filter(|_| wait.is_zero()) {
            self.shared.last_took_ms.store(whole_ms(at.elapsed()), Ordering::Relaxed);
        }
        answer
    }
}

fn client(brokers: &[String], options: &ClientOptions) -> Result<BrokerClient, ClientError> {
    let endpoints: Result<Vec<Endpoint>, _> = brokers.iter().map(|broker| broker.parse()).collect();
    BrokerClient::new(endpoints?, options)
}

impl MetadataSource for RemoteBroker {
    async fn read(&self, note: &ReadingNote) -> Result<Reading, MetadataError> {
        self.ask(Duration::ZERO, &reading_note::write(note)).await.map(|(reading, _)| reading)
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        self.ask(CHANGE_WAIT, api::GRANTS_NOTHING).await.map(|(_, is_news)| is_news)
    }

    async fn apply(&self, command: Command) -> Result<Reply, MetadataError> {
        let client = self.client();
        let client = if client.knows_several() { client.within(COMMAND_TIMEOUT) } else { client };
        client.command(&command).await.map_err(|error| match error {
            ClientError::Refused { .. } if matches!(error.code(), Some("UNAUTHORIZED" | "FORBIDDEN")) => {
                MetadataError::NotAllowed(error.to_string())
            }
            ClientError::Refused { .. } if !is_of_the_store(&error) => {
                MetadataError::Refused(error.to_string())
            }
            other => unreachable(other),
        })
    }

    async fn observe(&self, seen: Observations) {
        let options = ClientOptions { timeout: OBSERVE_TIMEOUT, ..self.shared.options.clone() };
        for broker in self.brokers() {
            let Ok(client) = client(&[broker], &options) else { continue };
            // One that is away, or older than this call, hears nothing.
            let _ = client.observe(&seen).await;
        }
    }

    fn brokers(&self) -> Vec<String> {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn set_brokers(&self, brokers: Vec<String>) -> bool {
        let Ok(client) = client(&brokers, &self.shared.options) else { return false };
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = (brokers, client);
        true
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unreachable(error: ClientError) -> MetadataError {
    MetadataError::Unreachable(error.to_string())
}

/// Whether the broker understood, and could not use its store, or had too much to do.
fn is_of_the_store(error: &ClientError) -> bool {
    matches!(error.code(), Some("EXTERNAL" | "EXTERNAL_TIMEOUT" | "BUSY" | api::STOOD_STILL))
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::routing::get;
    use serde_json::json;

    use super::*;

    /// How long the broker that is not hanging takes: longer than another is waited for.
    const SLOW: Duration = Duration::from_millis(200);
    /// Well below the time after which one that hangs is given up.
    const LIMIT: Duration = Duration::from_secs(1);

    /// A broker that answers after so long, or never.
    async fn broker(delay: Option<Duration>) -> String {
        let answer = move || async move {
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => std::future::pending().await,
            }
            Json(json!({ "history": "h", "change": 1, "state": State::default() }))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = axum::Router::new().fallback(get(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address.to_string()
    }

    #[tokio::test]
    async fn one_that_hangs_does_not_hold_up_a_reading_of_one_that_is_slow() {
        let brokers = vec![broker(None).await, broker(Some(SLOW)).await];
        let remote = RemoteBroker::new(brokers, None, "test").unwrap();
        for _ in 0..2 {
            let begun = Instant::now();
            let reading = remote.read(&ReadingNote::default()).await.unwrap();
            assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
            assert!(reading.at >= begun, "a reading is as old as the question that was answered");
        }
    }
}
