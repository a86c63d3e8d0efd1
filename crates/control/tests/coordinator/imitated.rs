//! Imitated hosts: proxies that are real keepers whose workers have nothing under way, and nodes without data that do at
//! once what they are told.
//!
//! A keeper goes on only when its proxy is asked something, so that thousands of them cost little.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keeper::{
    Action, Answer, Caller, DesiredRole, Event, Keeper, LeaseGrant, NodeLink, NodeRole, NodeStatus, Start,
    Ticket, VisitFault,
};
use model::{Address, Epoch, Moment, SetCluster, SetRepl};
use resp::encode;
use tokio::sync::Notify;

/// How many of its last tokens a coordinator may use.
const TOKENS_MAX: usize = 1024;

/// All hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    pub(crate) proxies: Vec<Imitated>,
    nodes: Nodes,
    begun: Instant,
}

/// One proxy, and what it was asked for.
#[derive(Debug)]
pub(crate) struct Imitated {
    pub(crate) is_alive: bool,
    /// Whether it wants another password than it is given.
    pub(crate) refuses: bool,
    /// Whether it takes no views.
    pub(crate) refuses_views: bool,
    pub(crate) probes: u64,
    pub(crate) leases: u64,
    pub(crate) cleanings: u64,
    pub(crate) death: Arc<Notify>,
    keeper: Keeper,
    address: Address,
    nodes: [Address; 2],
    /// Tells its processes apart.
    process: u64,
    callers: u64,
    /// The last ones that it has issued.
    tokens: VecDeque<Vec<u8>>,
}

/// The Redis servers of all hosts.
#[derive(Debug, Default)]
struct Nodes(HashMap<Address, Node>);

/// One of them.
#[derive(Debug)]
struct Node {
    /// Whom it replicates: at first a primary that is nowhere, as the documents say.
    following: Option<Address>,
    /// When it was last seen to have all that its primary has.
    followed: Option<Moment>,
    is_down: bool,
}

impl Hosts {
    /// Hosts with these proxies and nodes, all of which were just started.
    pub(crate) fn new(all: impl Iterator<Item = (Address, [Address; 2])>) -> Self {
        let begun = Instant::now();
        let mut nodes = Nodes::default();
        let proxies = all.map(|(address, own)| {
            for node in &own {
                let nowhere = Address::new("127.0.0.1", 1).unwrap();
                nodes
                    .0
                    .insert(node.clone(), Node { following: Some(nowhere), followed: None, is_down: false });
            }
            Imitated {
                is_alive: true,
                refuses: false,
                refuses_views: false,
                probes: 0,
                leases: 0,
                cleanings: 0,
                death: Arc::default(),
                keeper: keeper(&address, 0, Moment::default()),
                address,
                nodes: own,
                process: 0,
                callers: 0,
                tokens: VecDeque::new(),
            }
        });
        let proxies = proxies.collect();
        Self { proxies, nodes, begun }
    }

    /// Answers what a coordinator may ask a proxy.
    pub(crate) fn answer(&mut self, proxy: usize, words: &[&[u8]], reply: &mut Vec<u8>) {
        let now = Moment(self.begun.elapsed());
        self.proxies[proxy].answer(words, &mut self.nodes, now, reply);
    }

    /// A proxy is killed and started anew.
    pub(crate) fn restart(&mut self, proxy: usize) {
        let now = Moment(self.begun.elapsed());
        let proxy = &mut self.proxies[proxy];
        proxy.process += 1;
        (proxy.keeper, proxy.is_alive) = (keeper(&proxy.address, proxy.process, now), true);
        proxy.death.notify_waiters();
    }

    /// The first node of a proxy is killed.
    pub(crate) fn break_node(&mut self, proxy: usize) {
        self.nodes.0.get_mut(&self.proxies[proxy].nodes[0]).unwrap().is_down = true;
    }
}

fn keeper(address: &Address, process: u64, now: Moment) -> Keeper {
    let process = format!("{address}-{process}");
    let start = Start { announced: address.clone(), process: &process, node_addresses: BTreeSet::new() };
    Keeper::new(start, now)
}

impl Imitated {
    pub(crate) fn epochs(&self) -> (Epoch, Epoch) {
        (self.keeper.metadata().epoch(), self.keeper.metadata().roles_epoch())
    }

    /// The slots that its own nodes serve as primaries.
    pub(crate) fn slots(&self) -> usize {
        self.keeper.metadata().view().map_or(0, |view| view.owned_locally().count())
    }

    pub(crate) fn kill(&mut self) {
        self.is_alive = false;
        self.death.notify_waiters();
    }

    fn answer(&mut self, words: &[&[u8]], nodes: &mut Nodes, now: Moment, reply: &mut Vec<u8>) {
        if self.refuses {
            return encode::error(reply, "NOAUTH Authentication required.");
        }
        if self.keeper.wakes_at().is_some_and(|at| at <= now) {
            self.keep(Event::Tick, nodes, now);
        }
        assert_eq!(words[0], b"UMCTL");
        self.callers += 1;
        let caller = Caller(self.callers);
        let event = match words[1] {
            b"HEALTH" => {
                self.probes += 1;
                let grant = words.get(2).map(|_| self.grant(&words[2..]));
                Event::Health { caller, grant }
            }
            b"SETCLUSTER" if self.refuses_views => {
                return encode::error(reply, "ERR this cannot be taken");
            }
            b"SETCLUSTER" => {
                let command = Box::new(SetCluster::parse(&words[2..]).unwrap());
                Event::SetCluster { caller, command }
            }
            b"SETREPL" => Event::SetRepl { caller, command: SetRepl::parse(&words[2..]).unwrap() },
            b"CLEAN" => {
                let epoch = Epoch(std::str::from_utf8(words[2]).unwrap().parse().unwrap());
                Event::Clean { caller, epoch }
            }
            other => panic!("a coordinator sends no {}", String::from_utf8_lossy(other)),
        };
        let answer =
            self.keep(event, nodes, now).expect("workers and nodes that do all at once keep nobody waiting");
        match answer {
            Answer::Done => encode::simple(reply, "OK"),
            Answer::Refused(keeper::Refusal::OldEpoch) => encode::error(reply, "OLD_EPOCH"),
            Answer::Health(health) => {
                if self.tokens.len() == TOKENS_MAX {
                    self.tokens.pop_front();
                }
                self.tokens.push_back(health.token.clone());
                health.write(reply);
            }
            other => panic!("a coordinator asks for nothing that is answered by {other:?}"),
        }
    }

    /// The lease that a probe brings.
    fn grant(&mut self, words: &[&[u8]]) -> LeaseGrant {
        let [b"LEASE", token, for_ms] = words else { panic!("{words:?}") };
        assert!(self.tokens.iter().any(|issued| issued == token), "it has issued no {token:?}");
        let length = Duration::from_millis(std::str::from_utf8(for_ms).unwrap().parse().unwrap());
        assert!(!length.is_zero());
        self.leases += 1;
        LeaseGrant { token: token.to_vec(), length }
    }

    /// Tells the keeper what has happened, and does what it says; what it answers.
    fn keep(&mut self, event: Event, nodes: &mut Nodes, now: Moment) -> Option<Answer> {
        let (mut events, mut answered) = (VecDeque::from([event]), None);
        while let Some(event) = events.pop_front() {
            for action in self.keeper.handle(now, event) {
                match action {
                    Action::Answer { answer, .. } => answered = Some(answer),
                    Action::Apply => events.push_back(Event::Applied),
                    Action::Visit { node, visit } => events.push_back(nodes.visit(node, visit, None, now)),
                    Action::SetRole { node, visit, role, .. } => {
                        events.push_back(nodes.visit(node, visit, Some(&role), now));
                    }
                    Action::AskReplica { ask, primary, replica, .. } => {
                        let has_acknowledged = nodes.follows(&replica, &primary);
                        events.push_back(Event::Asked {
                            ask,
                            has_acknowledged,
                            replica_after: Duration::ZERO,
                        });
                    }
                    Action::AskOwed { ask, .. } => events.push_back(Event::Owed { ask, replies: 0 }),
                    Action::CutOff { order, .. } => events.push_back(Event::CutOff { order }),
                    Action::Clean { .. } => {
                        self.cleanings += 1;
                        events.push_back(Event::Cleaned(Ok(())));
                    }
                    Action::LookAtProcess { node, .. } => {
                        events.push_back(Event::Process { node, seen: None });
                    }
                    Action::Fence(_)
                    | Action::Forget { .. }
                    | Action::EndHeartbeat { .. }
                    | Action::Lives { .. } => {}
                }
            }
        }
        answered
    }
}

impl Nodes {
    fn visit(&mut self, address: Address, visit: Ticket, role: Option<&DesiredRole>, now: Moment) -> Event {
        let node = self.0.get_mut(&address).expect("metadata names own nodes only");
        if node.is_down {
            let outcome = Err(VisitFault::Failed("the connection is refused".to_owned()));
            return Event::Visited { node: address, visit, outcome };
        }
        if let Some(role) = role.filter(|role| role.following() != node.following.as_ref()) {
            (node.following, node.followed) = (role.following().cloned(), None);
        }
        let role = node.following.clone().map_or(NodeRole::Primary, |primary| NodeRole::Replica {
            link: self.link(&address, &primary, now),
            host: primary.host().to_owned(),
            port: primary.port(),
        });
        let status = NodeStatus { role, run_id: address.to_string(), offset: 100, ..NodeStatus::default() };
        Event::Visited { node: address, visit, outcome: Ok(Box::new(status)) }
    }

    /// What a replica says of its link.
    fn link(&mut self, replica: &Address, primary: &Address, now: Moment) -> NodeLink {
        let follows = self.follows(replica, primary);
        let node = self.0.get_mut(replica).expect("it was visited");
        if follows {
            node.followed = Some(now);
        }
        match node.followed {
            Some(_) if follows => NodeLink::Up,
            Some(then) => NodeLink::Down { for_s: now.since(then).as_secs() },
            None => NodeLink::Syncing,
        }
    }

    /// Whether a replica has all that a primary has.
    fn follows(&self, replica: &Address, primary: &Address) -> bool {
        let serves = |node: &Node| !node.is_down && node.following.is_none();
        let follows = |node: &Node| !node.is_down && node.following.as_ref() == Some(primary);
        self.0.get(primary).is_some_and(serves) && self.0.get(replica).is_some_and(follows)
    }
}
