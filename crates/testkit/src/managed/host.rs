//! One host of a managed cluster: a proxy with its two Redis servers, what dies together.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use super::options::{CONTROL_PASSWORD, DATA, ManagedOptions, REPLICA_PORT_OFFSET, needs_control_password};
use super::service::{Place, Recipe, Service};
use crate::port::Port;
use crate::relay::Relay;

/// Where a node that starts looks for its primary: nothing listens there, so that a node that restarts is
/// nobody's primary until its proxy says so.
const NOWHERE: [&str; 2] = ["127.0.0.1", "1"];

/// A proxy and the two nodes that it fronts.
#[derive(Debug)]
pub struct Host {
    /// Its place among the hosts.
    pub number: usize,
    /// The proxy.
    pub proxy: Service,
    /// What stands before the proxy where one was asked for: coordinators, other proxies and the metadata know the
    /// proxy by its address.
    pub relay: Option<Relay>,
    /// The Redis servers.
    pub nodes: [Service; 2],
}

impl Host {
    /// Starts all three.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub(super) fn start(
        number: usize,
        place: &Place,
        options: &ManagedOptions,
        parent: &Path,
    ) -> Result<Self> {
        let directory = parent.join(format!("host-{number}"));
        let node = |index: usize| {
            let mut disk = None;
            let mut node = Service::start(&format!("node-{index}"), &directory, place, |address, own| {
                disk = options.small_disk(own)?;
                redis_recipe(options, address)
            })?;
            node.keep(disk);
            Ok::<Service, anyhow::Error>(node)
        };
        let nodes = [node(0)?, node(1)?];
        let mut relay = None;
        let ports = if options.has_replica_faces() {
            Port::reserve_pair(REPLICA_PORT_OFFSET)?.into()
        } else {
            vec![Port::reserve()?]
        };
        let proxy = Service::start_on(ports, "proxy", &directory, place, |address, _| {
            let mut recipe = Recipe::undermoon("proxy")?.with("address", &address.to_string());
            if needs_control_password(place, options) {
                recipe = recipe.with("control_password", CONTROL_PASSWORD);
            }
            if options.has_replica_faces() {
                recipe = recipe.with("replica_port_offset", &REPLICA_PORT_OFFSET.to_string());
            }
            if options.relays {
                let started = Relay::start(address)?;
                recipe = recipe.with("announce_address", &started.address().to_string());
                relay = Some(started);
            }
            recipe.settings.extend(options.proxy_settings.iter().cloned());
            Ok(recipe)
        })?;
        Ok(Self { number, proxy, relay, nodes })
    }

    /// Where the metadata has the proxy.
    #[must_use]
    pub fn announced(&self) -> SocketAddr {
        self.relay.as_ref().map_or_else(|| self.proxy.address(), Relay::address)
    }

    /// What the metadata calls it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("host-{}", self.number)
    }

    /// Waits until all three answer.
    ///
    /// # Errors
    /// When one does not in time; with the end of its log.
    pub fn wait_answering(&mut self) -> Result<()> {
        self.services().try_for_each(Service::wait_answering)
    }

    /// All three processes, the proxy first.
    pub fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        std::iter::once(&mut self.proxy).chain(&mut self.nodes)
    }

    /// Kills all three at once, as when the machine loses power.
    pub fn kill(&mut self) {
        self.services().for_each(Service::kill);
    }

    /// Stops all three with SIGSTOP: their sockets stay open and nothing answers.
    ///
    /// # Errors
    /// When one has ended.
    pub fn freeze(&mut self) -> Result<()> {
        self.services().try_for_each(|service| service.process().freeze())
    }

    /// Ends [`freeze`](Self::freeze).
    ///
    /// # Errors
    /// When one has ended.
    pub fn thaw(&mut self) -> Result<()> {
        self.services().try_for_each(|service| service.process().thaw())
    }

    /// Starts all three again, the nodes first.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.nodes.iter_mut().try_for_each(Service::restart)?;
        self.proxy.restart()
    }
}

fn redis_recipe(options: &ManagedOptions, address: SocketAddr) -> Result<Recipe> {
    let program = options.nodes.binary.path().context("finding the Redis server")?;
    let (port, ip) = (address.port().to_string(), address.ip().to_string());
    let append_only = if options.nodes.append_only { "yes" } else { "no" };
    let fixed = [
        ("--port", port.as_str()),
        ("--bind", &ip),
        ("--protected-mode", "no"),
        ("--save", ""),
        ("--appendonly", append_only),
        ("--repl-diskless-sync-delay", "0"),
        ("--replica-serve-stale-data", "no"),
    ];
    let mut arguments: Vec<String> =
        fixed.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect();
    arguments.push("--replicaof".to_owned());
    arguments.extend(NOWHERE.map(str::to_owned));
    if options.small_disks {
        arguments.extend(["--dir".to_owned(), DATA.to_owned()]);
    }
    for (name, value) in &options.nodes.settings {
        arguments.extend([format!("--{name}"), value.clone()]);
    }
    Ok(Recipe { program, arguments, ..Recipe::default() })
}
