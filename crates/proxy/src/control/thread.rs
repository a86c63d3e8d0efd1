//! The control thread's loop: it alone holds the metadata, the settings and what is known of the nodes, and hands
//! the workers what follows from them. It never waits for anything but the next event; what takes time is a task.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keeper::{Event as Happened, Keeper, Readiness};
use link::Reply;
use model::Address;
use proxy_core::authority::{self, Lack};
use proxy_core::engine::{Question, Shared};
use proxy_core::route::WorkerView;
use proxy_core::settings::{Password, Settings};
use service::logging::LogControl;
use service::shutdown::{Phase, Shutdown};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

use super::callers::Callers;
use super::event::{Event, NodeReport};
use super::fair_queue::FairQueue;
use super::fences::Fences;
use super::node_status::NodeSeen;
use super::nodes::Nodes;
use super::orders::Order;
use super::picture::Picture;
use super::process::ProcessFacts;
use super::questions::DeskLine;
use super::worker_view::worker_view;
use super::workers::{Answers, Workers};
use crate::clock;
use crate::worker::SessionAsk;

/// Between two looks at whether the nodes have answered lately.
const READINESS_INTERVAL: Duration = Duration::from_millis(100);
/// While draining: between two looks at whether the workers have ended.
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// The version that clients are told before a node has said its own: that of the built-in command table.
pub(super) const VERSION_UNKNOWN: &str = "7.0.15";

/// What the control thread is started with.
pub(super) struct Start {
    pub(super) settings: Settings,
    pub(super) node_addresses: BTreeSet<Address>,
    pub(super) backend_password: Option<Password>,
    pub(super) shared: Shared,
    pub(super) workers: Workers,
    pub(super) shutdown: Shutdown,
    pub(super) shutdown_timeout: Duration,
    pub(super) log: Option<LogControl>,
    pub(super) process: Arc<ProcessFacts>,
    pub(super) desk: DeskLine,
}

/// What is asked of the control thread and what it is told, each in a queue of its own.
pub(super) struct Queues {
    /// What its own tasks tell it: leases and views depend on that.
    pub(super) events: UnboundedReceiver<Event>,
    /// Orders of operators who do not ask through a worker.
    pub(super) orders: Receiver<Order>,
    /// UMCTL of sessions.
    pub(super) asks: UnboundedReceiver<SessionAsk>,
}

/// UMCTL of sessions that waits: operators' before everybody else's, and of each one session after the other.
#[derive(Default)]
struct Lanes {
    operators: FairQueue<SessionAsk>,
    others: FairQueue<SessionAsk>,
}

/// The control thread.
pub(super) struct Control {
    /// It decides: see [`Control::keep`].
    pub(super) keeper: Keeper,
    pub(super) callers: Callers,
    /// As configured, with what CONFIG SET changed. What holds is in `shared`: the nodes may have fewer databases.
    pub(super) settings: Settings,
    pub(super) shared: Shared,
    pub(super) workers: Workers,
    pub(super) nodes: Nodes,
    pub(super) shutdown: Shutdown,
    pub(super) log: Option<LogControl>,
    pub(super) desk: DeskLine,
    pub(super) readiness: Readiness,
    /// `settings`, for onlookers.
    pub(super) shown_settings: Arc<Settings>,
    pub(super) backend_password: Option<Password>,
    pub(super) events: UnboundedSender<Event>,
    /// Until when each node that has slots takes writes.
    pub(super) fences: Fences,
    shutdown_timeout: Duration,
    picture: watch::Sender<Picture>,
}

impl Control {
    /// A control thread that watches the nodes it is told of beforehand; and the picture that it keeps current for
    /// those who only look. To be called inside the runtime.
    pub(super) fn new(start: Start, events: UnboundedSender<Event>) -> (Control, watch::Receiver<Picture>) {
        let (picture, onlookers) = watch::channel(Picture::new(start.shared.clone()));
        let announced = start.settings.announce_address.clone();
        let (process, node_addresses) = (start.process.run_id.as_str(), start.node_addresses);
        let keeper = Keeper::new(keeper::Start { announced, process, node_addresses }, clock::now());
        let mut control = Control {
            keeper,
            callers: Callers::default(),
            nodes: Nodes::new(start.backend_password.clone(), events.clone(), start.shared.lives.clone()),
            shown_settings: Arc::new(start.settings.clone()),
            settings: start.settings,
            shared: start.shared,
            workers: start.workers,
            shutdown: start.shutdown,
            log: start.log,
            desk: start.desk,
            readiness: Readiness::NoCluster,
            backend_password: start.backend_password,
            events,
            fences: Fences::default(),
            shutdown_timeout: start.shutdown_timeout,
            picture,
        };
        control.keep(Happened::Tick);
        control.publish();
        (control, onlookers)
    }

    /// Serves until told to end and the workers have ended.
    ///
    /// What its tasks tell it comes first, because fences follow from it and it is little; then orders from beside the
    /// workers; then UMCTL of operators' sessions, and when there is none of that, what others ask. After each question
    /// of a session the tasks get their turn.
    pub(super) async fn run(mut self, mut queues: Queues) {
        let shutdown = self.shutdown.clone();
        let mut readiness_looks = interval(READINESS_INTERVAL);
        let mut looks = interval(DRAIN_LOOK_INTERVAL);
        let mut lanes = Lanes::default();
        let mut deadline = None;
        loop {
            while let Ok(asked) = queues.asks.try_recv() {
                self.sort(asked, &mut lanes);
            }
            tokio::select! {
                biased;
                Some(event) = queues.events.recv() => self.happened(event),
                () = rest(self.keeper_rests()) => self.keep(Happened::Tick),
                Some(order) = queues.orders.recv() => self.ordered(order),
                () = shutdown.reached(Phase::Stopping), if deadline.is_some() => break,
                () = shutdown.reached(Phase::Draining), if deadline.is_none() => {
                    info!(within = ?self.shutdown_timeout, "draining");
                    deadline = Some(Instant::now() + self.shutdown_timeout);
                    self.workers.drain();
                    self.publish();
                }
                _ = readiness_looks.tick() => self.look_at_readiness(),
                _ = looks.tick(), if deadline.is_some() => {
                    if self.workers.have_ended() {
                        break;
                    }
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        warn!("clients still had requests in flight at the end of shutdown_timeout_ms");
                        break;
                    }
                }
                Some(asked) = lanes.next() => {
                    self.asked(asked);
                    tokio::task::yield_now().await;
                }
                Some(asked) = queues.asks.recv() => self.sort(asked, &mut lanes),
            }
        }
        self.workers.stop();
        self.workers.join();
        info!("stopped");
    }

    fn sort(&self, asked: SessionAsk, lanes: &mut Lanes) {
        let lane = match self.authority(&asked) {
            Ok(()) => &mut lanes.operators,
            Err(_) => &mut lanes.others,
        };
        lane.push(asked.ask.profile.id, asked);
    }

    fn authority(&self, asked: &SessionAsk) -> Result<(), Lack> {
        authority::of_session(&asked.ask.profile, self.settings.control_password.as_ref())
    }

    fn asked(&mut self, asked: SessionAsk) {
        let authority = self.authority(&asked);
        let to = self.workers.line().order_reply_to(asked.worker, asked.ask.place);
        match asked.ask.question {
            Question::Umctl(args) => self.answer_umctl(&args, authority, to),
            Question::Local(_) | Question::CountKeysInSlot(_) | Question::KeysInSlot { .. } => {
                unreachable!("clients' questions go to the questions' thread")
            }
        }
    }

    fn ordered(&mut self, order: Order) {
        match order {
            Order::Umctl(args, to) => self.answer_umctl(&args, Ok(()), to),
            Order::Settings(pairs, to) => self.set_settings(&pairs, to),
        }
    }

    /// Tells the workers when the nodes that own slots stop answering, and when they begin again.
    fn look_at_readiness(&mut self) {
        if self.readiness_changes() {
            self.publish();
        }
    }

    fn readiness_changes(&mut self) -> bool {
        let readiness = self.keeper.readiness(clock::now());
        if readiness == self.readiness {
            return false;
        }
        let told = self.readiness.unserved() != readiness.unserved();
        info!(from = %self.readiness, to = %readiness, "readiness");
        self.readiness = readiness;
        if told {
            self.shared.view = self.worker_view();
            self.workers.update(&self.shared);
        }
        true
    }

    fn happened(&mut self, event: Event) {
        match event {
            // It comes ten times a second, and nothing of it is shown.
            Event::Keeper(event @ (Happened::Asked { .. } | Happened::Process { .. })) => {
                return self.keep(event);
            }
            Event::Keeper(event) => self.keep(event),
            Event::Node(address, report) => self.node_reported(address, report),
        }
        self.publish();
    }

    fn node_reported(&mut self, address: Address, report: NodeReport) {
        match report {
            NodeReport::Visited(visit, outcome) => {
                let outcome = outcome.map(|seen| {
                    let (status, info) = *seen;
                    self.nodes.set_info(&address, info);
                    Box::new(status)
                });
                self.keep(Happened::Visited { node: address, visit, outcome });
            }
            NodeReport::Databases(count) => self.nodes.set_databases(&address, count),
            NodeReport::Commands(reply) => return self.learn(&address, &reply),
        }
        let up = self.keeper.nodes().filter(|(_, health)| health.status().is_some());
        let version = self.nodes.version_min(up.map(|(node, _)| node)).unwrap_or(&self.shared.server_version);
        let version: Option<Arc<str>> = (*version != *self.shared.server_version).then(|| version.into());
        let databases = self.databases();
        if version.is_none() && databases == self.shared.settings.databases {
            return;
        }
        if let Some(version) = version {
            self.shared.server_version = version;
        }
        self.push_settings();
    }

    /// A node has told its commands: the workers get those that the table did not know.
    fn learn(&mut self, address: &Address, reply: &Reply) {
        let learned = match reply.value() {
            Ok(value) => self.shared.table.learn(&value),
            Err(error) => return warn!(node = %address, %error, "the reply to COMMAND cannot be read"),
        };
        if learned.iter().eq(self.shared.table.iter()) {
            return;
        }
        let (before, now) = (self.shared.table.len(), learned.len());
        info!(node = %address, before, now, "a node has taught commands");
        self.shared.table = Arc::new(learned);
        self.workers.update(&self.shared);
    }

    /// As many as are configured, unless a node has fewer.
    fn databases(&self) -> u32 {
        self.nodes.databases_min().unwrap_or(u32::MAX).min(self.settings.databases)
    }

    /// The metadata changed: what is watched, which roles nodes have, and what the workers go by. The answers come
    /// when every worker has it.
    pub(super) fn push_metadata(&mut self) -> Answers<()> {
        self.shared.fences = self.fences.for_workers();
        self.shared.view = self.worker_view();
        self.publish();
        self.workers.update(&self.shared)
    }

    /// Settings or what is known of the nodes changed: the workers get it. The view stays what it is: the form of
    /// addresses in it is the only setting that it depends on.
    pub(super) fn push_settings(&mut self) -> Answers<()> {
        let settings = Settings { databases: self.databases(), ..self.settings.clone() };
        let other_form = settings.cluster_nodes_version != self.shared.settings.cluster_nodes_version;
        self.shared.settings = Arc::new(settings);
        if other_form {
            self.shared.view = self.worker_view();
        }
        self.workers.update(&self.shared)
    }

    fn worker_view(&self) -> Option<Arc<WorkerView>> {
        let hold_until_us = self.keeper.hold_until().map_or(0, clock::micros);
        let silent = self.readiness.unserved();
        worker_view(self.keeper.metadata(), &self.shared.settings, hold_until_us, &silent)
    }

    /// Shows the onlookers what there is now.
    pub(super) fn publish(&mut self) {
        self.readiness_changes();
        let metadata = self.keeper.metadata();
        let (view, roles) = metadata.accepted();
        let shown = |(address, health): (&Address, &keeper::Health)| {
            let health = health.clone();
            (address.clone(), NodeSeen { health, info: self.nodes.info(address) })
        };
        self.picture.send_replace(Picture {
            epoch: metadata.epoch(),
            roles_epoch: metadata.roles_epoch(),
            readiness: self.readiness.clone(),
            draining: self.shutdown.phase() >= Phase::Draining,
            shared: self.shared.clone(),
            settings: self.shown_settings.clone(),
            view,
            roles,
            nodes: self.keeper.nodes().map(shown).collect(),
            primaries: metadata.primaries(),
        });
    }
}

impl Lanes {
    /// The next question; waits without a limit where there is none.
    async fn next(&mut self) -> Option<SessionAsk> {
        match self.operators.pop().or_else(|| self.others.pop()) {
            Some(asked) => Some(asked),
            None => std::future::pending().await,
        }
    }
}

/// Waits for this long, or without a limit.
async fn rest(rests: Option<Duration>) {
    match rests {
        Some(rests) => tokio::time::sleep(rests).await,
        None => std::future::pending().await,
    }
}

/// Ticks that were missed are not made up for: nobody looks while the proxy does not drain, and that may be for days.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
