//! The Prometheus registry of a process, with what every process reports about itself.
//!
//! A role adds its own metrics through [`Metrics::registry`], mostly as collectors that read counters when they
//! are asked: nothing here may cost anything while a request is served.

use crate::build_info::BUILD;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::fmt;

/// The content type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every metric of this project begins with.
const PREFIX: &str = "undermoon";

/// Kernel clock ticks in a second, as `/proc` counts CPU time: fixed at 100 for user space on Linux.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// The metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// A registry with the build's information and the process's CPU time, memory, threads and files.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Info::new(vec![("version", BUILD.version), ("commit", BUILD.commit)]);
        registry.register("build", "Version and commit of the running build", build);
        registry.register_collector(Box::new(ProcessCollector));
        Metrics { registry }
    }

    /// The registry, for a role's own metrics.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The text that a scrape answers.
    ///
    /// # Errors
    /// When a collector fails.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads `/proc/self` when scraped. What cannot be read is left out.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(seconds) = cpu_seconds() {
            let metric = ConstCounter::new(seconds);
            let help = "CPU time that the process used, user and system, in seconds";
            let descriptor =
                encoder.encode_descriptor("process_cpu_seconds", help, None, metric.metric_type())?;
            metric.encode(descriptor)?;
        }
        let gauges = [
            ("process_resident_memory_bytes", "Resident memory of the process, in bytes", resident_bytes()),
            ("process_threads", "Threads of the process", status_number("Threads:")),
            ("process_open_fds", "Open file descriptors of the process", open_files()),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

/// Resident memory of this process in bytes; `None` where there is no `/proc`.
pub fn resident_bytes() -> Option<i64> {
    status_number("VmRSS:").map(|kibibytes| kibibytes * 1024)
}

fn status_number(label: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may itself hold spaces: fields are counted from
    // its end, which makes utime and stime (14 and 15 in proc(5)) the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / CLOCK_TICKS_PER_SECOND)
}

fn open_files() -> Option<i64> {
    i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn a_process_describes_itself() {
        let text = Metrics::new().encode().unwrap();
        for wanted in [
            "undermoon_build_info{version=\"",
            "undermoon_process_cpu_seconds_total ",
            "undermoon_process_resident_memory_bytes ",
            "undermoon_process_threads ",
            "undermoon_process_open_fds ",
            "# EOF",
        ] {
            assert!(text.contains(wanted), "no {wanted} in:\n{text}");
        }
    }
}
