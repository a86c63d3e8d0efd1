//! `undermoon ctl plan`: what a change would do now, in words. Nothing is changed.

use api::v4::{Plan, PlannedChange};
use model::{Address, ClusterName};

use super::cluster::{Size, Which};
use super::context::Context;
use super::error::CtlError;
use super::output::{Show, print};
use super::{advice, pool};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a cluster
    Create {
        /// Its name
        name: ClusterName,
        #[command(flatten)]
        size: Size,
    },
    /// Delete a cluster
    Delete {
        /// The cluster
        name: ClusterName,
    },
    /// Change the number of nodes with slots
    Scale {
        /// The cluster
        name: ClusterName,
        #[command(flatten)]
        size: Size,
    },
    /// Give back the chunks without slots
    Release {
        /// The cluster
        name: ClusterName,
    },
    /// Bring primaries home
    Balance {
        /// The cluster
        name: ClusterName,
    },
    /// Take a failed proxy out of service
    Failover {
        /// The proxy
        proxy: Address,
    },
    /// Have replicas take over from their primaries
    Handover {
        /// The cluster
        name: ClusterName,
        #[command(flatten)]
        which: Which,
        /// Promote the replica at once, whatever it lacks
        #[arg(long)]
        force: bool,
    },
    /// Take a living proxy without primaries out of its cluster
    Replace {
        /// The proxy
        proxy: Address,
    },
    /// Register a proxy
    Add(pool::Add),
    /// Forget a proxy
    Remove {
        /// The proxy
        proxy: Address,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result<(), CtlError> {
    let change = match command {
        Command::Create { name, size } => {
            PlannedChange::CreateCluster { cluster: name, node_number: size.nodes() }
        }
        Command::Delete { name } => PlannedChange::DeleteCluster { cluster: name },
        Command::Scale { name, size } => PlannedChange::Scale { cluster: name, node_number: size.nodes() },
        Command::Release { name } => PlannedChange::RemoveFreeNodes { cluster: name },
        Command::Balance { name } => PlannedChange::Balance { cluster: name },
        Command::Failover { proxy } => PlannedChange::FailOverProxy { address: proxy },
        Command::Handover { name, which, force } => {
            PlannedChange::FailOver { cluster: name, which: which.request(force) }
        }
        Command::Replace { proxy } => PlannedChange::ReplaceProxy { address: proxy },
        Command::Add(arguments) => PlannedChange::AddProxy { proxy: arguments.proxy() },
        Command::Remove { proxy } => PlannedChange::RemoveProxy { address: proxy },
    };
    let plan = context.client.plan(&change).await?;
    print(context.format, &plan)?;
    if plan.accepted {
        return Ok(());
    }
    let code = plan.error.unwrap_or_default();
    Err(CtlError::Foreseen { advice: advice::of(&code).map(ToOwned::to_owned), code })
}

impl Show for Plan {
    fn text(&self) -> String {
        if !self.accepted {
            return format!("The change would be refused: {}\n", self.words.join("; "));
        }
        if self.words.is_empty() {
            return "Nothing would change.\n".to_owned();
        }
        let lines: Vec<String> = self.words.iter().map(|word| format!("- {word}\n")).collect();
        format!("This would happen:\n{}Nothing was changed.\n", lines.concat())
    }
}
