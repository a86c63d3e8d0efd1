//! The control thread's loop: it alone holds the metadata, the settings and what is known of the nodes, and hands
//! the workers what follows from them. It never waits for anything but the next event; what takes time is a task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use model::{Address, Epoch};
use proxy_core::engine::{Question, Shared};
use proxy_core::routing::WorkerView;
use proxy_core::settings::{Secret, Settings};
use proxy_core::slowlog::SlowLog;
use service::logging::LogControl;
use service::shutdown::{Phase, Shutdown};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

use super::event::Event;
use super::fence::{Attachments, monotonic_us};
use super::heartbeat::Heartbeat;
use super::lease::Lease;
use super::node_client::NodeReply;
use super::node_watch::NodeReport;
use super::nodes::{Health, Nodes};
use super::picture::Picture;
use super::process::ProcessFacts;
use super::questions::counts::Counts;
use super::questions::slot_keys::SCANS_MAX;
use super::questions::wait::Waits;
use super::state::ClusterState;
use super::stopping::Settling;
use super::workers::{Answers, Workers};
use crate::worker::ControlMessage;

/// Between two readings of the workers' counters, for rates.
const READING_INTERVAL: Duration = Duration::from_secs(1);
/// While draining: between two looks at whether the workers have ended.
const DRAIN_LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// The version that clients are told before a node has said its own: that of the built-in command table.
pub(super) const VERSION_UNKNOWN: &str = "7.0.15";

/// What the control thread is started with.
pub(super) struct Start {
    pub(super) settings: Settings,
    pub(super) node_addresses: BTreeSet<Address>,
    pub(super) backend_password: Option<Secret>,
    pub(super) shared: Shared,
    pub(super) workers: Workers,
    pub(super) shutdown: Shutdown,
    pub(super) shutdown_timeout: Duration,
    pub(super) log: Option<LogControl>,
}

/// A heartbeat that ends when it is dropped.
#[derive(Debug)]
struct HeartbeatTask(AbortHandle);

impl Drop for HeartbeatTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The control thread.
pub(super) struct Control {
    pub(super) cluster: ClusterState,
    /// As configured, with what CONFIG SET changed. What holds is in `shared`: the nodes may have fewer databases.
    pub(super) settings: Settings,
    pub(super) shared: Shared,
    pub(super) workers: Workers,
    pub(super) nodes: Nodes,
    pub(super) slowlog: SlowLog,
    pub(super) counts: Counts,
    pub(super) process: ProcessFacts,
    pub(super) shutdown: Shutdown,
    pub(super) log: Option<LogControl>,
    /// Permits for scans of whole nodes.
    pub(super) scans: Arc<Semaphore>,
    pub(super) waits: Waits,
    pub(super) backend_password: Option<Secret>,
    pub(super) events: UnboundedSender<Event>,
    pub(super) lease: Lease,
    pub(super) attachments: Attachments,
    /// Of each primary that has slots here.
    heartbeats: BTreeMap<Address, HeartbeatTask>,
    /// The epochs of view and roles that coordinators are told: all nodes were looked at since these were in force.
    pub(super) told_epochs: (Epoch, Epoch),
    pub(super) settling: Settling,
    /// Until when each node that has slots takes writes, as the workers see it.
    pub(super) fences: BTreeMap<Address, Arc<AtomicU64>>,
    /// Until when clients wait for slots that have no owner; none where there are none.
    pub(super) hold_until: Option<Instant>,
    node_addresses: BTreeSet<Address>,
    shutdown_timeout: Duration,
    picture: watch::Sender<Picture>,
}

impl Control {
    /// A control thread that watches the nodes it is told of beforehand; and the picture that it keeps current for
    /// those who only look. To be called inside the runtime.
    pub(super) fn new(start: Start, events: UnboundedSender<Event>) -> (Control, watch::Receiver<Picture>) {
        let (picture, onlookers) = watch::channel(Picture::new(start.shared.table.clone()));
        let process = ProcessFacts::gather();
        let mut control = Control {
            cluster: ClusterState::new(start.settings.announce_address.clone()),
            nodes: Nodes::new(start.backend_password.clone(), events.clone()),
            settings: start.settings,
            shared: start.shared,
            workers: start.workers,
            slowlog: SlowLog::default(),
            counts: Counts::default(),
            shutdown: start.shutdown,
            log: start.log,
            scans: Arc::new(Semaphore::new(SCANS_MAX)),
            waits: Waits::default(),
            backend_password: start.backend_password,
            events,
            attachments: Attachments::default(),
            heartbeats: BTreeMap::new(),
            lease: Lease::new(&process.run_id, Instant::now()),
            told_epochs: (Epoch::default(), Epoch::default()),
            settling: Settling::default(),
            fences: BTreeMap::new(),
            hold_until: None,
            process,
            node_addresses: start.node_addresses,
            shutdown_timeout: start.shutdown_timeout,
            picture,
        };
        control.follow_nodes();
        control.publish();
        (control, onlookers)
    }

    /// Serves until told to end and the workers have ended.
    pub(super) async fn run(
        mut self,
        mut asks: UnboundedReceiver<ControlMessage>,
        mut events: UnboundedReceiver<Event>,
    ) {
        let shutdown = self.shutdown.clone();
        let mut readings = interval(READING_INTERVAL);
        let mut looks = interval(DRAIN_LOOK_INTERVAL);
        let mut deadline = None;
        loop {
            tokio::select! {
                Some(message) = asks.recv() => self.asked(message),
                Some(event) = events.recv() => self.happened(event),
                _ = readings.tick() => self.counts.read(&self.workers.snapshot(), self.process.now_us() / 1000),
                () = shutdown.reached(Phase::Draining), if deadline.is_none() => {
                    info!(within = ?self.shutdown_timeout, "draining");
                    deadline = Some(Instant::now() + self.shutdown_timeout);
                    self.workers.drain();
                    self.publish();
                }
                () = shutdown.reached(Phase::Stopping), if deadline.is_some() => break,
                _ = looks.tick(), if deadline.is_some() => {
                    if self.workers.have_ended() {
                        break;
                    }
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        warn!("clients still had requests in flight at the end of shutdown_timeout_ms");
                        break;
                    }
                }
            }
        }
        self.workers.stop();
        self.workers.join();
        info!("stopped");
    }

    fn asked(&mut self, message: ControlMessage) {
        let (worker, ask) = match message {
            ControlMessage::Ask { worker, ask } => (worker, *ask),
            ControlMessage::Slow(entry) => return self.slowlog.push(*entry, self.settings.slowlog_len),
        };
        let to = self.workers.reply_to(worker, ask.place);
        match ask.question {
            Question::Umctl(args) => self.answer_umctl(&args, to),
            Question::Local(request) => self.answer_local(*request, &ask.profile, to),
            Question::CountKeysInSlot(slot) => self.count_keys_in_slot(slot, ask.profile.db, to),
            Question::KeysInSlot { slot, count } => self.keys_in_slot(slot, count, ask.profile.db, to),
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::MetadataApplied { to, reply } => {
                self.cluster.applied();
                self.follow_primaries();
                info!(epoch = %self.cluster.epoch(), roles = %self.cluster.roles_epoch(), "metadata is in force");
                self.settle(to, reply);
                self.tell_epochs();
            }
            Event::Acknowledged(primary, asked) => {
                self.attachments.acknowledged(&primary, asked);
                return self.set_fence();
            }
            Event::Stopped(stopped) => {
                self.note_stopped(stopped);
                self.tell_epochs();
            }
            Event::SettledAnyway(serial) => return self.settled_anyway(serial),
            Event::Node(address, report) => self.node_reported(&address, report),
        }
        self.publish();
    }

    /// Asks the primaries that have slots, and no others, for their replicas. A primary that has stopped is not
    /// asked, because its stream has to come to rest.
    pub(super) fn follow_primaries(&mut self) {
        // Without a coordinator nobody is ever replaced, and nobody needs to be asked.
        let is_watched = self.lease.limit().is_some();
        let primaries = if is_watched { self.cluster.owners() } else { Vec::new() };
        self.heartbeats.retain(|primary, _| primaries.contains(primary));
        for primary in primaries {
            let (password, events) = (self.backend_password.clone(), self.events.clone());
            self.heartbeats.entry(primary.clone()).or_insert_with(|| {
                HeartbeatTask(tokio::spawn(Heartbeat { primary, password, events }.run()).abort_handle())
            });
        }
        self.set_fence();
    }

    fn node_reported(&mut self, address: &Address, report: NodeReport) {
        match report {
            NodeReport::Up(status, look) => {
                self.nodes.looked(address, Health::Up(status), look);
                self.tell_epochs();
            }
            NodeReport::Down(reason) => {
                self.nodes.looked(address, Health::Down(reason), 0);
                self.tell_epochs();
            }
            NodeReport::Databases(count) => self.nodes.set_databases(address, count),
            NodeReport::Commands(reply) => return self.learn(address, &reply),
        }
        let version = self.nodes.version_min().unwrap_or(&self.shared.server_version);
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
    fn learn(&mut self, address: &Address, reply: &NodeReply) {
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
        self.follow_nodes();
        self.set_fence();
        self.shared.fences = self.write_fences();
        self.shared.view = self.worker_view();
        self.workers.update(&self.shared)
    }

    /// Settings or what is known of the nodes changed: the workers get it.
    pub(super) fn push_settings(&mut self) -> Answers<()> {
        let settings = Settings { databases: self.databases(), ..self.settings.clone() };
        self.shared.settings = Arc::new(settings);
        self.shared.view = self.worker_view();
        self.workers.update(&self.shared)
    }

    fn worker_view(&self) -> Option<Arc<WorkerView>> {
        let hold_until_us = self.hold_until.map_or(0, monotonic_us);
        self.cluster.worker_view(&self.shared.settings, hold_until_us)
    }

    fn follow_nodes(&mut self) {
        let mut wanted = self.cluster.nodes();
        wanted.extend(self.node_addresses.iter().cloned());
        self.nodes.follow(&wanted, |node| self.cluster.order(node));
    }

    /// Shows the onlookers what there is now.
    pub(super) fn publish(&self) {
        let draining = self.shutdown.phase() >= Phase::Draining;
        self.picture.send_replace(Picture {
            epoch: self.cluster.epoch(),
            roles_epoch: self.cluster.roles_epoch(),
            ready: self.cluster.is_ready() && !draining,
            draining,
            table: self.shared.table.clone(),
            nodes: self.nodes.iter().map(|(address, health)| (address.clone(), health.clone())).collect(),
        });
    }
}

/// Ticks that were missed are not made up for: nobody looks while the proxy does not drain, and that may be for days.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
