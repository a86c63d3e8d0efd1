//! `undermoon ctl cluster config`.

use std::collections::BTreeMap;

use model::ClusterName;
use serde::Serialize;

use super::super::connection;
use super::super::context::Context;
use super::super::error::CtlError;
use super::super::facts::settings;
use super::super::output::{Done, Show, print, table};
use super::words::{find, setting};

/// Show the settings of a cluster, or change them
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    /// The cluster
    name: ClusterName,
    /// The settings to change; without one, the command shows all settings
    #[arg(value_name = "FIELD=VALUE", value_parser = setting)]
    changes: Vec<(String, String)>,
}

/// The settings of a cluster.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ClusterSettings(BTreeMap<String, String>);

pub(in crate::ctl) async fn run(context: &Context, arguments: &Arguments) -> Result<(), CtlError> {
    let name = &arguments.name;
    if arguments.changes.is_empty() {
        let state = connection::state(&context.client).await?;
        return print(context.format, &ClusterSettings(settings(find(&state, name)?)));
    }
    let changes: BTreeMap<String, String> = arguments.changes.iter().cloned().collect();
    context.client.configure(name, &changes).await?;
    let told: Vec<String> = changes.iter().map(|(field, value)| format!("{field} = {value}")).collect();
    print(context.format, &Done::complete(format!("cluster {name}: {}", told.join(", "))))
}

impl Show for ClusterSettings {
    fn text(&self) -> String {
        table(["SETTING", "VALUE"], self.0.iter().map(|(field, value)| [field.clone(), value.clone()]))
    }
}
