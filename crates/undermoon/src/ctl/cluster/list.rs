//! `undermoon ctl cluster list`.

use control_core::State;
use serde::Serialize;

use super::super::context::Context;
use super::super::error::CtlError;
use super::super::facts::{ClusterLine, cluster_line, condition_seen};
use super::super::output::{Show, print_state, table};

/// Show all clusters, one per line
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// Show the clusters again after each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Clusters(Vec<ClusterLine>);

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    // What coordinators see, which is not in the metadata.
    let overview = context.client.overview().await?;
    let look = |state: &State| {
        let line = |(name, cluster)| {
            let line = cluster_line(state, name, cluster);
            let state =
                if arguments.watch { line.state } else { condition_seen(line.state, name, &overview) };
            ClusterLine { state, ..line }
        };
        Ok(Clusters(state.clusters.iter().map(line).collect()))
    };
    print_state(&context.client, context.format, arguments.watch, look).await
}

impl Show for Clusters {
    fn text(&self) -> String {
        let header = ["CLUSTER", "STATE", "CHUNKS", "NODES", "IN SYNC", "AWAY", "MOVING", "EPOCH"];
        let row = |line: &ClusterLine| {
            [
                line.name.to_string(),
                line.state.word().to_owned(),
                line.chunks.to_string(),
                line.nodes.to_string(),
                format!("{}/{}", line.shards_in_sync, line.shards),
                line.primaries_away.to_string(),
                line.slots_moving.to_string(),
                line.epoch.to_string(),
            ]
        };
        table(header, self.0.iter().map(row))
    }
}
