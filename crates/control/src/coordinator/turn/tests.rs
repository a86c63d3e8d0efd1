use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use control_core::{LeaseTerms, NewProxy, ReporterId, Timing, apply};

use super::super::link::ProxyAccess;
use super::super::metadata::MetadataError;
use super::*;

/// Metadata that nobody asks for.
#[derive(Clone)]
struct Unread;

impl MetadataSource for Unread {
    async fn read(&self) -> Result<Reading, MetadataError> {
        Err(MetadataError::Unreachable("not asked for".to_owned()))
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        Ok(false)
    }

    async fn apply(&self, _: Command) -> Result<control_core::Reply, MetadataError> {
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

/// On one thread, so that it is certain that there is always an answer when the loop looks.
#[tokio::test]
async fn answers_without_end_keep_no_turn_away() {
    let proxy: Address = "127.0.0.1:1".parse().unwrap();
    let (seen_sender, seen) = mpsc::channel(1024);
    let reading = Reading { state: Arc::new(one_proxy(&proxy)), at: Instant::now() };
    let (_readings, readings) = watch::channel(Some(reading));
    let pace = watch::channel(Pace::of(1, Duration::from_millis(50), Timing::default())).1;
    let clock = Clock::new();
    let has_turned = Arc::new(AtomicBool::new(false));
    let (turned, probe_pace, probes_seen) = (has_turned.clone(), pace.clone(), seen_sender.clone());
    let turns = Turns {
        metadata: Unread,
        clock,
        observed: Observed::new(ReporterId("tests".to_owned()), Timing::default(), clock.now()),
        pusher: Pusher { access: ProxyAccess::default(), limit: Duration::from_secs(1), compress: false },
        probe: Box::new(move |proxy: &Address, now| {
            turned.store(true, Relaxed);
            let (pace, seen) = (probe_pace.clone(), probes_seen.clone());
            let terms = watch::channel(LeaseTerms::none()).1;
            Probe { proxy: proxy.clone(), access: ProxyAccess::default(), pace, terms, clock, now, seen }
        }),
        readings,
        read_now: Arc::new(Notify::new()),
        pace,
        seen,
    };
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
