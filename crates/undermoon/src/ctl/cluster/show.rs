//! `undermoon ctl cluster show`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::v4::{ClusterHealth, Level};
use control_core::State;
use model::ClusterName;
use serde::Serialize;

use super::super::connection;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::facts::{
    ClusterLine, Condition, FenceWord, MoveLine, NodePlace, ShardLine, cluster_line, move_lines, settings,
    shard_lines,
};
use super::super::output::{Show, count, print, print_state, table};
use super::words::find;

/// Show a cluster: its shards, which nodes have them, and what is going on
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    /// Show the cluster again after each change, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// Have the broker also ask the proxies: how far each replica is behind, and what is wrong
    #[arg(long, conflicts_with = "watch")]
    live: bool,
}

/// A cluster in full.
#[derive(Debug, Serialize)]
struct Details {
    #[serde(flatten)]
    line: ClusterLine,
    config: BTreeMap<String, String>,
    shard_list: Vec<ShardLine>,
    moves: Vec<MoveLine>,
    /// What is wrong, by the metadata, by what coordinators see, and by the proxies where they were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    if !arguments.watch {
        let mut details = look(&connection::state(&context.client).await?, name)?;
        details.add(context.client.cluster_health(name, arguments.live).await?);
        return print(context.format, &details);
    }
    print_state(&context.client, context.format, arguments.watch, |state| look(state, name)).await
}

fn look(state: &State, name: &ClusterName) -> Result<Details, CtlError> {
    let cluster = find(state, name)?;
    Ok(Details {
        line: cluster_line(state, name, cluster),
        config: settings(cluster),
        shard_list: shard_lines(state, cluster),
        moves: move_lines(cluster),
        problems: Vec::new(),
    })
}

impl Details {
    /// Adds what the proxies have said.
    fn add(&mut self, health: ClusterHealth) {
        match health.level {
            Level::Down => self.line.state = Condition::Down,
            Level::Unknown => self.line.state = Condition::Unknown,
            Level::Degraded | Level::Well => {}
        }
        for shard in health.shards {
            let number = shard.shard;
            self.problems
                .extend(shard.problems.into_iter().map(|problem| format!("shard {number}: {problem}")));
            if let Some(line) = self.shard_list.iter_mut().find(|line| line.shard == number) {
                line.behind_bytes = shard.behind_bytes;
            }
        }
    }
}

impl Show for Details {
    fn text(&self) -> String {
        let ClusterLine { name, state, chunks, nodes, epoch, .. } = &self.line;
        let (chunks, nodes) = (count(*chunks, "chunk"), count(*nodes, "node"));
        let mut text = format!("cluster {name}: {}; {chunks}, {nodes}, epoch {epoch}\n\n", state.word());
        let header = ["SHARD", "SLOTS", "PRIMARY", "HOST", "REPLICA", "HOST", "SYNC", "NOTE"];
        let row = |shard: &ShardLine| {
            [
                shard.shard.to_string(),
                if shard.slots.is_empty() { "-".to_owned() } else { shard.slots.clone() },
                shard.primary.node.to_string(),
                shard.primary.host.clone(),
                shard.replica.node.to_string(),
                shard.replica.host.clone(),
                shard.sync.word().to_owned(),
                notes(shard),
            ]
        };
        text += &table(header, self.shard_list.iter().map(row));
        if !self.moves.is_empty() {
            let row = |step: &MoveLine| {
                let state = if step.running { "running" } else { "waiting" };
                let (source, target) = (step.source.to_string(), step.target.to_string());
                [step.slots.clone(), step.slot_count.to_string(), source, target, state.to_owned()]
            };
            let header = ["MOVING", "SLOTS", "FROM", "TO", "STATE"];
            text = text + "\n" + &table(header, self.moves.iter().map(row));
        }
        // Writing into a String cannot fail.
        let _ = writeln!(text);
        for problem in &self.problems {
            let _ = writeln!(text, "- {problem}");
        }
        for (field, value) in &self.config {
            let _ = writeln!(text, "{field} = {value}");
        }
        text
    }
}

/// What is unusual about a shard.
fn notes(shard: &ShardLine) -> String {
    let mut notes = Vec::new();
    let failed = |node: &NodePlace| format!("proxy {} failed", node.proxy);
    notes.extend([&shard.primary, &shard.replica].into_iter().filter(|node| node.failed).map(failed));
    notes.extend(shard.fence.map(|fence| match fence {
        FenceWord::Dead => "replica takes over".to_owned(),
        FenceWord::Handover => "handing over".to_owned(),
    }));
    notes.extend(shard.behind_bytes.map(|bytes| format!("{bytes} bytes behind")));
    if !shard.at_home {
        notes.push("away from home".to_owned());
    }
    notes.join(", ")
}
