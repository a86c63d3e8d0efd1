//! The text that a person sees once a cluster serves: the processes, how to connect, and how to see the cluster heal.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use api::v3::{Cluster, Node};
use control_core::CHUNK_NODES;
use model::{Address, Role, SlotAssignment};

use super::layout::{Layout, local};
use super::recipes::node_name;
use super::supervisor::Supervisor;

/// The port of a broker that `ctl` finds by itself.
use ::control::config::DEFAULT_PORT as BROKER_PORT;

/// What is told.
#[derive(Debug)]
pub(super) struct Introduction<'a> {
    /// What is where.
    pub layout: &'a Layout,
    /// The clusters, as the broker has them.
    pub clusters: &'a [Cluster],
    /// Whether the proxies ask for a password.
    pub has_password: bool,
    /// Whether the broker asks for a token even for looking.
    pub has_read_token: bool,
    /// How long it took from the start until all of it served.
    pub took: Duration,
    /// Who knows the processes.
    pub supervisor: &'a Supervisor,
}

impl Introduction<'_> {
    /// The whole of it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for cluster in self.clusters {
            self.describe(&mut text, cluster);
        }
        let spare: Vec<String> = self.spare().map(|address| address.to_string()).collect();
        if !spare.is_empty() {
            let _ = writeln!(text, "\nin the pool: {}", spare.join(", "));
        }
        let [broker, coordinator] = [self.layout.broker_port, self.layout.coordinator_port].map(local);
        let _ = writeln!(text, "\nbroker http://{broker}, coordinator {coordinator}");
        self.say_how(&mut text);
        text
    }

    fn describe(&self, text: &mut String, cluster: &Cluster) {
        let _ = writeln!(text, "\ncluster {}\n{:<18}{:<26}Redis servers", cluster.name, "proxy", "metrics");
        for proxy in proxies(cluster) {
            let admin = self.layout.proxies.iter().find(|plan| plan.address() == *proxy);
            let metrics =
                admin.map_or_else(String::new, |plan| format!("{}/metrics", local(plan.admin_port)));
            let nodes = cluster.nodes.iter().filter(|node| node.proxy_address == *proxy);
            let nodes: Vec<String> = nodes.map(|node| described(cluster, node)).collect();
            let _ = writeln!(text, "{:<18}{metrics:<26}{}", proxy.to_string(), nodes.join(", "));
        }
    }

    fn spare(&self) -> impl Iterator<Item = Address> {
        let is_used = |address: &Address| {
            self.clusters.iter().any(|cluster| proxies(cluster).any(|used| used == address))
        };
        self.layout
            .proxies
            .iter()
            .map(super::layout::ProxyPlan::address)
            .filter(move |address| !is_used(address))
    }

    fn say_how(&self, text: &mut String) {
        let Some(cluster) = self.clusters.first() else { return };
        let urls: Vec<String> = proxies(cluster).map(|proxy| format!("redis://{proxy}")).collect();
        let port = proxies(cluster).next().map_or(0, Address::port);
        let password = if self.has_password { " -a \"$UNDERMOON_PASSWORD\"" } else { "" };
        let took = self.took.as_secs_f64();
        let _ = writeln!(text, "\nReady after {took:.1} s. Connect any cluster client to {}", urls.join(","));
        let _ = writeln!(text, "\n  redis-cli -c -p {port}{password}");
        if self.layout.replica_face(port).is_some() {
            let offset = self.layout.replica_port_offset;
            let _ = writeln!(
                text,
                "\nReplicas answer reads {offset} above the proxies' ports: switch on reading from replicas in your client."
            );
        }
        let broker = self.layout.broker_port;
        let broker =
            if broker == BROKER_PORT { String::new() } else { format!(" --broker {}", local(broker)) };
        let _ = writeln!(text, "\nLook at the cluster and its changes from another terminal:");
        let token = if self.has_read_token { "UNDERMOON_TOKEN=\"$UNDERMOON_READ_TOKEN\" " } else { "" };
        let program = this_program();
        let _ = writeln!(text, "\n  {token}{program} ctl{broker} cluster show {} --watch", cluster.name);
        let victim = cluster.nodes.iter().find(|node| node.repl.role == Role::Primary);
        let id = victim.and_then(|node| self.supervisor.id(&node_name(&node.address)));
        if let (Some(victim), Some(id)) = (victim, id) {
            let what = described(cluster, victim);
            let _ = writeln!(text, "\nKill a process, and watch the cluster heal; `up` restarts what dies:");
            let _ = writeln!(text, "\n  kill -9 {id}        # the Redis server {what}\n");
        }
    }
}

/// The proxies of a cluster, in the order of their nodes.
fn proxies(cluster: &Cluster) -> impl Iterator<Item = &Address> {
    cluster.nodes.chunks(CHUNK_NODES / 2).filter_map(|half| half.first()).map(|node| &node.proxy_address)
}

/// A node with what it has: `127.0.0.1:6380 (slots 0-4095)`.
fn described(cluster: &Cluster, node: &Node) -> String {
    if node.repl.role == Role::Primary {
        return format!("{} (slots {})", node.address, slots(node));
    }
    let peer = node.repl.peers.first();
    let primary = peer.and_then(|peer| cluster.nodes.iter().find(|other| other.address == peer.node));
    format!("{} (replica of {})", node.address, primary.map_or_else(String::new, slots))
}

fn slots(node: &Node) -> String {
    let each = |slots: &SlotAssignment| slots.ranges.to_string();
    node.slots.iter().map(each).collect::<Vec<_>>().join(" ")
}

/// How this program is called from where the person is.
fn this_program() -> String {
    let Ok(program) = std::env::current_exe() else { return "undermoon".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    let near = program.strip_prefix(here).map(Path::to_owned).unwrap_or(program);
    near.display().to_string()
}
