//! The text that `/metrics` answers. Anybody may ask for it, it takes a while to make, and the thread that makes it answers
//! clients' questions and liveness probes, too. So one text is for all who ask before it is made, and there is a pause
//! between two. Who asks gets nothing older than the question.

use std::fmt;
use std::time::Duration;

use axum::body::Bytes;
use service::metrics::Metrics;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// From the beginning of one text to that of the next.
const PAUSE: Duration = Duration::from_millis(50);

/// The last text, and when it was begun.
#[derive(Debug)]
struct Last {
    begun: Instant,
    text: Result<Bytes, fmt::Error>,
}

/// Makes the text for all who wait for it.
#[derive(Debug)]
pub(super) struct Scrapes {
    metrics: Metrics,
    /// Who has it makes the next one; all others wait here.
    last: Mutex<Option<Last>>,
}

impl Scrapes {
    /// Nothing was asked for yet.
    pub(super) fn new(metrics: Metrics) -> Scrapes {
        Scrapes { metrics, last: Mutex::new(None) }
    }

    /// A text that is begun after this call.
    ///
    /// # Errors
    /// When a collector fails.
    pub(super) async fn text(&self) -> Result<Bytes, fmt::Error> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(known) = last.as_ref() {
            if known.begun > asked {
                return known.text.clone();
            }
            sleep_until(known.begun + PAUSE).await;
        }
        let begun = Instant::now();
        let text = self.metrics.encode().map(Bytes::from);
        last.insert(Last { begun, text }).text.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::DescriptorEncoder;

    use super::*;

    /// Counts the texts that are made.
    #[derive(Debug)]
    struct Counter(Arc<AtomicU64>);

    impl Collector for Counter {
        fn encode(&self, _: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_text_is_for_all_who_wait() {
        let made = Arc::new(AtomicU64::new(0));
        let mut metrics = Metrics::new();
        metrics.registry().register_collector(Box::new(Counter(made.clone())));
        let scrapes = Arc::new(Scrapes::new(metrics));
        let began = Instant::now();
        scrapes.text().await.unwrap();
        assert_eq!(
            (made.load(Ordering::Relaxed), began.elapsed()),
            (1, Duration::ZERO),
            "the first waits for nobody"
        );
        for round in 2..5 {
            let callers: Vec<_> = (0..100)
                .map(|_| {
                    let scrapes = scrapes.clone();
                    tokio::spawn(async move { scrapes.text().await })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap().unwrap();
            }
            assert_eq!(made.load(Ordering::Relaxed), round, "one for a hundred callers");
        }
        assert!(began.elapsed() >= 3 * PAUSE, "{:?}", began.elapsed());
        // Nobody waits for nothing.
        tokio::time::advance(PAUSE).await;
        let asked = Instant::now();
        scrapes.text().await.unwrap();
        assert_eq!((made.load(Ordering::Relaxed), asked.elapsed()), (5, Duration::ZERO));
    }
}
