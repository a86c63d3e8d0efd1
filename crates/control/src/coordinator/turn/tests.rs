use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use api::v4::Observations;
use control_core::{LeaseTerms, NewProxy, ReadingNote, ReporterId, Timing, apply};

use super::super::access::ProxyAccess;
use super::super::hearing::HearingHere;
use super::super::metadata::MetadataError;
use super::*;

/// Metadata that cannot be read, and how often they were to be changed.
#[derive(Clone, Default)]
struct Unread(Arc<AtomicUsize>);

impl MetadataSource for Unread {
    async fn read(&self, _: &ReadingNote) -> Result<Reading, MetadataError> {
        Err(MetadataError::Unreachable("not asked for".to_owned()))
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        Ok(false)
    }

    async fn apply(&self, _: Command) -> Result<control_core::Reply, MetadataError> {
        self.0.fetch_add(1, Relaxed);
        Err(MetadataError::Unreachable("not asked for".to_owned()))
    }

    async fn observe(&self, _: Observations) {}

    fn brokers(&self) -> Vec<String> {
        Vec::new()
    }

    fn set_brokers(&self, _: Vec<String>) -> bool {
        false
    }
}

/// Metadata with one proxy.
fn one_proxy(proxy: &Address) -> State {
    let mut state = State::default();
    let nodes = vec!["127.0.0.1:2".parse().unwrap(), "127.0.0.1:3".parse().unwrap()];
    let new = NewProxy { address: proxy.clone(), nodes, host: None, index: None };
    apply(&mut state, Command::RegisterProxy(new)).unwrap();
    state
}

/// A loop by these readings, which tells when it has looked at its proxies.
fn turns(
    metadata: Unread,
    readings: watch::Receiver<Option<Reading>>,
    (probes_seen, seen): (mpsc::Sender<Probed>, mpsc::Receiver<Probed>),
    has_turned: Arc<AtomicBool>,
) -> Turns<Unread> {
    let pace = watch::channel(ProbePace::of(1, Duration::from_millis(50), Timing::default())).1;
    let (clock, probe_pace) = (Clock::new(), pace.clone());
    Turns {
        metadata,
        clock,
        observed: Observed::new(ReporterId("tests".to_owned()), Timing::default(), clock.now()),
        pusher: Pusher { access: ProxyAccess::default(), limit: Duration::from_secs(1), compress: false },
        probe: Box::new(move |proxy: &Address, now| {
            has_turned.store(true, Relaxed);
            let (pace, seen) = (probe_pace.clone(), probes_seen.clone());
            let terms = watch::channel(LeaseTerms::none()).1;
            let (proxy, access, hearing) = (proxy.clone(), ProxyAccess::default(), HearingHere::new(clock));
            Probe { proxy, access, pace, terms, clock, hearing, now, seen, is_said: false }
        }),
        readings,
        read_now: Arc::new(Notify::new()),
        pace,
        seen,
    }
}

/// On one thread, so that it is certain that there is always an answer when the loop looks.
#[tokio::test]
async fn answers_without_end_keep_no_turn_away() {
    let proxy: Address = "127.0.0.1:1".parse().unwrap();
    let (seen_sender, seen) = mpsc::channel(1024);
    let reading = Reading::new(Arc::new(one_proxy(&proxy)), Instant::now());
    let (_readings, readings) = watch::channel(Some(reading));
    let has_turned = Arc::new(AtomicBool::new(false));
    let turns = turns(Unread::default(), readings, (seen_sender.clone(), seen), has_turned.clone());
    let flood = async {
        loop {
            let one = || {
                let at = Instant::now();
                Probed::Answered(Seen { proxy: proxy.clone(), asked: at, at, health: ProxyHealth::default() })
            };
            while seen_sender.try_send(one()).is_ok() {}
            tokio::task::yield_now().await;
        }
    };
    let until_turned = async {
        while !has_turned.load(Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    let turns = tokio::spawn(turns.run());
    tokio::select! {
        () = flood => {}
        outcome = tokio::time::timeout(Duration::from_secs(10), until_turned) => {
            assert!(outcome.is_ok(), "no turn in ten seconds");
        }
    }
    turns.abort();
}

/// A proxy is dead, which is to be reported. But what is known of it was read long ago.
#[tokio::test]
async fn nothing_is_changed_by_what_was_read_long_ago() {
    let state = Arc::new(one_proxy(&"127.0.0.1:1".parse().unwrap()));
    let old = Instant::now().checked_sub(READING_AGE_MAX * 2).unwrap();
    let (readings_sender, readings) = watch::channel(Some(Reading::new(Arc::clone(&state), old)));
    let metadata = Unread::default();
    let asked = async || {
        while metadata.0.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let turns = turns(metadata.clone(), readings, mpsc::channel(1024), Arc::default());
    let turns = tokio::spawn(turns.run());
    let is_asked = tokio::time::timeout(Duration::from_secs(1), asked()).await.is_ok();
    assert!(!is_asked, "a change was asked for by an old reading");
    readings_sender.send_replace(Some(Reading::new(state, Instant::now())));
    let is_asked = tokio::time::timeout(READING_AGE_MAX, asked()).await.is_ok();
    assert!(is_asked, "it is read again, and the proxy is not reported");
    turns.abort();
}
