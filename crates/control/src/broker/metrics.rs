//! The broker's metrics for Prometheus, read from the metadata at each scrape.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use service::metrics::Metrics;

use super::access::DeniedCommands;
use super::limits::RequestCounts;
use crate::store::Metadata;

#[derive(Debug)]
struct BrokerCollector {
    metadata: Metadata,
    requests: Arc<RequestCounts>,
    denied: Arc<DeniedCommands>,
}

/// The registry of a broker.
pub(super) fn metrics(
    metadata: &Metadata,
    requests: Arc<RequestCounts>,
    denied: Arc<DeniedCommands>,
) -> Metrics {
    let mut metrics = Metrics::new();
    let collector = BrokerCollector { metadata: metadata.clone(), requests, denied };
    metrics.registry().register_collector(Box::new(collector));
    metrics
}

impl Collector for BrokerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.metadata.snapshot();
        let state = &snapshot.state;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let proxies = |wanted: fn(&control_core::Proxy) -> bool| {
            count(state.proxies.values().filter(|proxy| wanted(proxy)).count())
        };
        let moving = state.clusters.values().map(|cluster| cluster.migrations.len()).sum();
        let is_healthy = i64::from(self.metadata.problem().is_none());
        let gauges = [
            ("broker_healthy", "1 while the store can be used, else 0", is_healthy),
            ("broker_clusters", "Clusters in the metadata", count(state.clusters.len())),
            ("broker_proxies", "Registered proxies", count(state.proxies.len())),
            (
                "broker_proxies_free",
                "Registered proxies that can be allocated to a cluster",
                count(state.free().count()),
            ),
            (
                "broker_proxies_failed",
                "Registered proxies that count as failed",
                proxies(|p| p.failed_since.is_some()),
            ),
            (
                "broker_proxies_reported",
                "Registered proxies that at least one coordinator reports as failed",
                count(state.failures.len()),
            ),
            (
                "broker_reviews",
                "Clusters and pool proxies under review: their metadata may be older than what is served; see ctl review",
                count(state.clusters.values().filter(|cluster| cluster.review).count())
                    .saturating_add(proxies(|proxy| proxy.review)),
            ),
            (
                "broker_shards_busy",
                "Shards whose primary is busy: it answers nobody, but coordinators see that its process works",
                count(self.metadata.board().now().busy_count()),
            ),
            (
                "broker_proxies_late",
                "Living proxies that have not taken their view for 3 seconds or longer, as coordinators see it",
                count(self.metadata.board().now().late_proxies().count()),
            ),
            (
                "broker_coordinators",
                "Coordinators that this broker heard in the last 3 seconds; at 0 no failover happens",
                count(self.metadata.board().now().coordinators()),
            ),
            ("broker_migrations", "Slot migrations that run or wait", count(moving)),
            (
                "broker_epoch",
                "Highest epoch that the brokers have given out",
                i64::try_from(state.global_epoch.0).unwrap_or(i64::MAX),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let changes = ConstCounter::new(snapshot.change);
        let help = "Changes of the metadata by all brokers";
        changes.encode(encoder.encode_descriptor("broker_changes", help, None, changes.metric_type())?)?;
        let denied = ConstCounter::new(self.denied.count());
        let help =
            "Commands of coordinators that this broker refused because write_token was missing or wrong";
        let name = "broker_commands_denied";
        denied.encode(encoder.encode_descriptor(name, help, None, denied.metric_type())?)?;
        let mut family = encoder.encode_descriptor(
            "broker_requests",
            "HTTP requests that this broker answered, by outcome",
            None,
            MetricType::Counter,
        )?;
        let read = |counter: &AtomicU64| ConstCounter::new(counter.load(Ordering::Relaxed));
        for (outcome, counter) in [
            ("succeeded", &self.requests.succeeded),
            ("refused", &self.requests.refused),
            ("failed", &self.requests.failed),
        ] {
            let labels = [("outcome", outcome)];
            read(counter).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
