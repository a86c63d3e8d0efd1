//! With which arguments and settings each process of `up` runs.

use std::ffi::OsString;

use anyhow::Context as _;

use super::directory::Directory;
use super::layout::{Layout, ProxyPlan, local, node_folder};
use super::process::Recipe;
use crate::failure::Failure;

/// Where no Redis server ever listens: the port of a service that nobody has run for decades.
const NOBODY: [&str; 2] = ["127.0.0.1", "1"];

/// Settings of a broker that would contradict what is done here.
const NOT_FOR_THE_BROKER: [&str; 9] = [
    "UNDERMOON_ETCD_ENDPOINTS",
    "UNDERMOON_ETCD_USER",
    "UNDERMOON_ETCD_PASSWORD",
    "UNDERMOON_TLS_CERTIFICATE",
    "UNDERMOON_TLS_KEY",
    "UNDERMOON_REPLICA_ADDRESSES",
    "UNDERMOON_ENABLE_ORDERED_PROXY",
    "UNDERMOON_BROKER_ADDRESS",
    "UNDERMOON_REPORTER_ID",
];

/// What is needed to start the processes, beyond the layout.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The Redis server's program.
    pub redis: OsString,
    /// This program.
    pub itself: OsString,
    /// Worker threads of each proxy.
    pub workers: u16,
    /// The password that the proxies ask for, from the environment.
    pub password: Option<String>,
    /// The control password of the proxies, from the environment.
    pub control_password: Option<String>,
}

/// What people call a Redis server.
pub(crate) fn node_name(address: &model::Address) -> String {
    format!("Redis server {address}")
}

/// What people call a proxy.
pub(crate) fn proxy_name(address: &model::Address) -> String {
    format!("proxy {address}")
}

/// What people call broker and coordinator.
pub(crate) const CONTROL_NAME: &str = "broker and coordinator";

/// Every Redis server.
pub(crate) fn nodes(
    layout: &Layout,
    programs: &Programs,
    directory: &Directory,
) -> Result<Vec<Recipe>, Failure> {
    let recipe = |(place, which, address): (usize, usize, model::Address)| {
        let folder = node_folder(place, which);
        let log = directory.path().join(folder.with_extension("log"));
        let (port, is_lasting) = (address.port().to_string(), directory.is_lasting());
        Ok(Recipe {
            name: node_name(&address),
            program: programs.redis.clone(),
            arguments: node_arguments(&port, address.host(), is_lasting),
            environment: Vec::new(),
            folder: directory.folder(&folder)?,
            log,
        })
    };
    layout.nodes().map(recipe).collect()
}

fn node_arguments(port: &str, host: &str, is_lasting: bool) -> Vec<OsString> {
    let mut arguments = vec!["--port", port, "--bind", host];
    arguments.extend(["--save", "", "--daemonize", "no", "--protected-mode", "yes"]);
    // By default a primary waits five seconds for more replicas to copy to at once; here there is only one.
    arguments.extend(["--repl-diskless-sync-delay", "0"]);
    arguments.extend(["--appendonly", if is_lasting { "yes" } else { "no" }]);
    // A server that was killed comes back without what it had in memory. It must not be a primary before its
    // proxy says so: its replica would copy the emptiness.
    arguments.extend(["--replicaof", NOBODY[0], NOBODY[1], "--replica-serve-stale-data", "no"]);
    arguments.into_iter().map(OsString::from).collect()
}

/// Every proxy.
pub(crate) fn proxies(layout: &Layout, programs: &Programs, directory: &Directory) -> Vec<Recipe> {
    let recipe = |(place, plan): (usize, &ProxyPlan)| {
        let address = plan.address();
        let nodes = plan.nodes().map(|node| node.to_string()).join(",");
        let admin = local(plan.admin_port).to_string();
        let settings = [
            ("UNDERMOON_ADDRESS", address.to_string()),
            ("UNDERMOON_ANNOUNCE_ADDRESS", String::new()),
            ("UNDERMOON_ADMIN_ADDRESS", admin),
            ("UNDERMOON_CONTROL_ADDRESS", String::new()),
            ("UNDERMOON_REPLICA_PORT_OFFSET", layout.replica_port_offset.to_string()),
            ("UNDERMOON_NODE_ADDRESSES", nodes),
            ("UNDERMOON_THREAD_NUMBER", programs.workers.to_string()),
        ];
        Recipe {
            name: proxy_name(&address),
            program: programs.itself.clone(),
            arguments: vec!["proxy".into()],
            environment: settings.map(|(name, value)| (name.into(), Some(value.into()))).to_vec(),
            folder: directory.path().to_owned(),
            log: directory.path().join(format!("proxy-{}.log", place + 1)),
        }
    };
    layout.proxies.iter().enumerate().map(recipe).collect()
}

/// Broker and coordinator, in one process.
pub(crate) fn control(
    layout: &Layout,
    programs: &Programs,
    directory: &Directory,
) -> Result<Recipe, Failure> {
    let store = directory.path().join("metadata.redb");
    let store = store.to_str().context("the directory's name is not UTF-8")?.to_owned();
    let mut environment: Vec<(OsString, Option<OsString>)> =
        NOT_FOR_THE_BROKER.iter().map(|name| ((*name).into(), None)).collect();
    environment.push(("UNDERMOON_STORE".into(), Some("embedded".into())));
    environment.push(("UNDERMOON_META_FILENAME".into(), Some(store.into())));
    environment.push(("UNDERMOON_PROXY_PASSWORD".into(), programs.password.clone().map(OsString::from)));
    let control_password = programs.control_password.clone().map(OsString::from);
    environment.push(("UNDERMOON_PROXY_CONTROL_PASSWORD".into(), control_password));
    environment.push(("UNDERMOON_PROXY_CONTROL_PORT_OFFSET".into(), None));
    let [broker, coordinator] =
        [layout.broker_port, layout.coordinator_port].map(|port| local(port).to_string());
    let arguments = ["control", "--broker-address", &broker, "--coordinator-address", &coordinator];
    Ok(Recipe {
        name: CONTROL_NAME.to_owned(),
        program: programs.itself.clone(),
        arguments: arguments.map(OsString::from).to_vec(),
        environment,
        folder: directory.path().to_owned(),
        log: directory.path().join("control.log"),
    })
}
