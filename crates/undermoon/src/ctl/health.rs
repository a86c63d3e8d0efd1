//! `undermoon ctl health`: the health of the broker, every cluster and every host, in short.

use std::fmt::Write as _;
use std::time::Duration;

use api::v4::{ClusterSummary, HostSummary, Level, Overview};

use super::context::Context;
use super::error::CtlError;
use super::output::{Format, Show, print, put, table};

/// The pause between two looks.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Show the health in short: problems, each cluster, each host and whether it may fail
///
/// The exit code is 1 when some slots are without service, or nobody knows whether they are served.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Show the health again after each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let mut shown = context.client.overview().await?;
    if !arguments.watch {
        print(context.format, &shown)?;
        return match shown.level {
            Level::Down => {
                Err(CtlError::failed("some slots are without service", "look at the problems above"))
            }
            Level::Unknown => Err(CtlError::failed(
                "nobody knows whether some slots are served",
                "look at the problems above",
            )),
            Level::Well | Level::Degraded => Ok(()),
        };
    }
    show_line(context.format, &shown)?;
    loop {
        tokio::time::sleep(WATCH_PAUSE).await;
        match context.client.overview().await {
            Ok(overview) if differs(&overview, &shown) => {
                shown = overview;
                show_line(context.format, &shown)?;
            }
            Ok(_) => {}
            Err(error) => eprintln!("undermoon: {error}"),
        }
    }
}

/// Whether two differ in more than the number of the last change.
fn differs(now: &Overview, before: &Overview) -> bool {
    let (mut now, mut before) = (now.clone(), before.clone());
    (now.broker.change, before.broker.change) = (0, 0);
    now != before
}

fn show_line(format: Format, overview: &Overview) -> Result<(), CtlError> {
    match format {
        Format::Table => put(&(overview.text() + "\n")),
        Format::Json => {
            let line = serde_json::to_string(overview);
            put(&(line.map_err(|error| CtlError::failed(error.to_string(), ""))? + "\n"))
        }
    }
}

impl Show for Overview {
    fn text(&self) -> String {
        let mut text = format!("{}\n", word(self.level));
        for problem in &self.problems {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "- {problem}");
        }
        let cluster = |line: &ClusterSummary| {
            [
                line.name.to_string(),
                word(line.level).to_owned(),
                line.node_number.to_string(),
                line.slots_served.to_string(),
                line.shards_not_well.to_string(),
                yes_or_no(line.is_migrating),
            ]
        };
        let header = ["CLUSTER", "HEALTH", "NODES", "SLOTS SERVED", "SHARDS NOT WELL", "SCALING"];
        text = text + "\n" + &table(header, self.clusters.iter().map(cluster));
        let host = |line: &HostSummary| {
            let numbers =
                [line.proxies, line.free, line.failed, line.primaries].map(|number| number.to_string());
            let [proxies, free, failed, primaries] = numbers;
            [line.host.clone(), proxies, free, failed, primaries, yes_or_no(line.can_fail)]
        };
        let header = ["HOST", "PROXIES", "FREE", "FAILED", "PRIMARIES", "MAY FAIL"];
        text + "\n" + &table(header, self.hosts.iter().map(host))
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Well => "well",
        Level::Degraded => "degraded",
        Level::Unknown => "unknown",
        Level::Down => "down",
    }
}

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
