//! `undermoon ctl review`: metadata that may be older than what the proxies know, and who is right.

use std::fmt::Write as _;

use api::v4::{Review, ReviewDecision, ReviewedBy};
use clap::ValueEnum;
use model::{Address, ClusterName};

use super::confirm::Confirmation;
use super::context::Context;
use super::error::CtlError;
use super::output::{Done, Show, print};

/// Show what is under review since a restore, or since the store was found to be old; or decide it
///
/// Without options this command asks the proxies and shows what differs. What is under review is not promoted, emptied
/// or given a view.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The cluster that is decided on
    #[arg(long, requires = "by")]
    cluster: Option<ClusterName>,
    /// Which picture of the cluster is right
    #[arg(long, value_enum, requires = "cluster")]
    by: Option<By>,
    /// A proxy of the pool that serves nobody: its nodes are emptied
    #[arg(long, conflicts_with = "cluster")]
    proxy: Option<Address>,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// Who is right.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// The cluster is as its proxies serve it
    Proxies,
    /// The cluster is as the metadata has it; nodes that become replicas lose what they have
    Metadata,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let found = context.client.review().await?;
    let (what, done, decision) = match (&arguments.cluster, arguments.by, &arguments.proxy) {
        (Some(cluster), Some(by), _) => {
            let (what, by) = match by {
                By::Proxies => ("as its proxies serve it", ReviewedBy::Proxies),
                By::Metadata => ("as the metadata has it", ReviewedBy::Metadata),
            };
            let decision =
                ReviewDecision { cluster: Some(cluster.clone()), by: Some(by), ..ReviewDecision::default() };
            let done = format!("cluster {cluster} is {what}");
            (format!("{}Cluster {cluster} is taken {what}.", found.text()), done, decision)
        }
        (_, _, Some(proxy)) => {
            let decision = ReviewDecision { proxy: Some(proxy.clone()), ..ReviewDecision::default() };
            let done = format!("proxy {proxy} returns to the pool");
            (format!("{}The nodes of proxy {proxy} are emptied.", found.text()), done, decision)
        }
        _ => return print(context.format, &found),
    };
    arguments.confirmation.ask(&what, "decide")?;
    context.client.decide_review(&decision).await?;
    print(context.format, &Done::complete(done))
}

impl Show for Review {
    fn text(&self) -> String {
        if !self.is_under_review {
            return "Nothing is under review.\n".to_owned();
        }
        let mut text = String::new();
        for cluster in &self.clusters {
            let epoch = |epoch: Option<model::Epoch>| {
                epoch.map_or_else(|| "nothing".to_owned(), |epoch| format!("epoch {epoch}"))
            };
            // Writing into a String cannot fail.
            let _ = writeln!(
                text,
                "cluster {}: {} in the metadata, {} at its proxies",
                cluster.cluster,
                epoch(cluster.stored_epoch),
                epoch(cluster.served_epoch)
            );
            list(&mut text, "why an operator is asked", &cluster.obstacles);
            let none = || vec!["not possible: nobody can tell how the cluster is served".to_owned()];
            list(&mut text, "--by proxies", &cluster.by_proxies.clone().unwrap_or_else(none));
            list(&mut text, "--by metadata", cluster.by_metadata.as_deref().unwrap_or_default());
        }
        for proxy in &self.proxies {
            let why =
                proxy.obstacle.as_deref().unwrap_or("it holds nothing, and returns to the pool in a moment");
            let _ = writeln!(text, "proxy {} of the pool: {why}", proxy.proxy);
        }
        text
    }
}

fn list(text: &mut String, heading: &str, words: &[String]) {
    if !words.is_empty() {
        let _ = writeln!(text, "  {heading}:");
    }
    for word in words {
        let _ = writeln!(text, "    - {word}");
    }
}
