//! One imitated proxy: it keeps to the wire form and the epoch rules of a real one, and has no nodes at all.

use std::sync::Arc;

use model::{
    Address, Epoch, HealthAnswer, LinkState, NodeHealth, NodeState, ProxyHealth, Role, SetCluster, SetRepl,
};
use resp::encode;
use tokio::sync::Notify;

/// What it has, and what it was asked for.
#[derive(Debug)]
pub(crate) struct Imitated {
    pub(crate) is_alive: bool,
    /// Whether it wants another password than it is given.
    pub(crate) refuses: bool,
    /// Whether it takes no views.
    pub(crate) refuses_views: bool,
    /// Whether its first node is down, and has been for long.
    pub(crate) node_is_down: bool,
    pub(crate) probes: u64,
    pub(crate) leases: u64,
    pub(crate) cleanings: u64,
    pub(crate) death: Arc<Notify>,
    nodes: [Address; 2],
    view: Option<SetCluster>,
    roles: Option<SetRepl>,
    tokens: u64,
}

impl Imitated {
    pub(crate) fn new(nodes: [Address; 2]) -> Self {
        Self {
            is_alive: true,
            refuses: false,
            refuses_views: false,
            node_is_down: false,
            probes: 0,
            leases: 0,
            cleanings: 0,
            death: Arc::default(),
            nodes,
            view: None,
            roles: None,
            tokens: 0,
        }
    }

    pub(crate) fn epochs(&self) -> (Epoch, Epoch) {
        let view = self.view.as_ref().map_or(Epoch(0), |view| view.view.epoch);
        (view, self.roles.as_ref().map_or(Epoch(0), |roles| roles.epoch))
    }

    /// The slots that its own nodes serve as primaries.
    pub(crate) fn slots(&self) -> usize {
        self.view.as_ref().map_or(0, |view| view.view.owned_locally().count())
    }

    /// As a process that was killed and started anew.
    pub(crate) fn restart(&mut self) {
        (self.view, self.roles, self.is_alive) = (None, None, true);
        self.death.notify_waiters();
    }

    pub(crate) fn kill(&mut self) {
        self.is_alive = false;
        self.death.notify_waiters();
    }
}

/// Answers what a coordinator may ask.
pub(crate) fn answer(proxy: &mut Imitated, words: &[&[u8]], reply: &mut Vec<u8>) {
    if proxy.refuses {
        return encode::error(reply, "NOAUTH Authentication required.");
    }
    assert_eq!(words[0], b"UMCTL");
    let (view, roles) = proxy.epochs();
    match words[1] {
        b"SETCLUSTER" if proxy.refuses_views => encode::error(reply, "ERR this cannot be taken"),
        b"HEALTH" => {
            proxy.probes += 1;
            if let [_, _, lease, token, for_ms] = words {
                let token: u64 = std::str::from_utf8(token).unwrap().parse().unwrap();
                assert!(*lease == b"LEASE" && (1..=proxy.tokens).contains(&token), "{token}");
                assert!(std::str::from_utf8(for_ms).unwrap().parse::<u64>().unwrap() > 0);
                proxy.leases += 1;
            }
            health(proxy, reply);
        }
        b"SETCLUSTER" => {
            let command = SetCluster::parse(&words[2..]).unwrap();
            let is_new = command.view.epoch > view;
            accept(is_new, reply);
            if is_new {
                proxy.view = Some(command);
            }
        }
        b"SETREPL" => {
            let command = SetRepl::parse(&words[2..]).unwrap();
            let is_new = command.flags.force || command.epoch > roles;
            accept(is_new, reply);
            if is_new {
                proxy.roles = Some(command);
            }
        }
        b"CLEAN" => {
            assert_eq!(words[2], view.to_string().as_bytes());
            proxy.cleanings += 1;
            encode::simple(reply, "OK");
        }
        other => panic!("a coordinator sends no {}", String::from_utf8_lossy(other)),
    }
}

fn accept(is_new: bool, reply: &mut Vec<u8>) {
    if is_new { encode::simple(reply, "OK") } else { encode::error(reply, "OLD_EPOCH") }
}

fn health(proxy: &mut Imitated, reply: &mut Vec<u8>) {
    proxy.tokens += 1;
    let (view_epoch, roles_epoch) = proxy.epochs();
    let node = |(place, address): (usize, &Address)| {
        let mut roles = proxy.roles.iter().flat_map(|roles| &roles.roles);
        let replica = roles.rfind(|role| role.node == *address && role.role == Role::Replica);
        let is_down = proxy.node_is_down && place == 0;
        NodeHealth {
            address: address.clone(),
            state: if is_down { NodeState::Down { for_ms: 10_000 } } else { NodeState::Up },
            restarted: false,
            role: if replica.is_some() { Role::Replica } else { Role::Primary },
            primary: replica.map(|role| role.peers[0].node.clone()),
            link: replica.map(|_| LinkState::Up),
            offset: 100,
            replicated: false,
            attached: true,
            role_epoch: None,
            run_id: None,
            keys: None,
            keeps_log: false,
        }
    };
    let nodes = proxy.nodes.iter().enumerate().map(node).collect();
    let health = ProxyHealth { view_epoch, roles_epoch, nodes, ..ProxyHealth::default() };
    let token = proxy.tokens.to_string().into_bytes();
    HealthAnswer { token, health }.write(reply);
}
