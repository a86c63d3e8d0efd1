//! One run: starts a cluster and its clients, lets fault after fault come and go, and judges.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use control_core::State;
use model::ClusterName;

use super::CLUSTER;
use super::clock::library;
use super::credentials::WRITE_TOKEN;
use super::fault::{Begun, begin, end};
use super::judge::{Broken, FaultWindow, Judgement, judge};
use super::kind::Fault;
use super::network::Network;
use super::options::ChaosOptions;
use super::plan::{Plan, Scene};
use super::report::{BrokenReport, FaultReport, Report};
use super::services::{Ground, Sites};
use super::watch::Watch;
use super::workload::{ClientPlace, Clock, Key, KeyKind, Observation, Workload, WorkloadPlan};
use crate::history::ClientId;
use crate::managed::disk::own_mounts;
use crate::managed::service::Place;
use crate::managed::shard::ShardPlace;
use crate::managed::{ManagedCluster, ManagedOptions};
use crate::wait::{Deadline, retry_until};

/// How long a request may take until its outcome counts as unknown.
const REPLY_LIMIT: Duration = Duration::from_secs(1);
/// The same for those who measure how long a shard is silent: what they see is not finer than this.
const PULSE_REPLY_LIMIT: Duration = Duration::from_millis(100);
/// How many faults are drawn at most, those that are not wanted included.
const FAULTS_DRAWN_MAX: usize = 100_000;
/// Between two looks at whether the cluster is whole.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Between a cluster that is whole and the next fault.
const REST: Duration = Duration::from_millis(700);

/// Runs it, telling of each fault as it goes.
///
/// # Errors
/// When something of the set-up fails; what the product does wrong is in the report.
pub fn run(options: &ChaosOptions, tell: &(dyn Fn(&str) + Sync)) -> Result<Report> {
    // A thread of its own: it moves to a host of the network, and the processes that it starts end with it.
    std::thread::scope(|scope| {
        let run = scope.spawn(|| Run::start(options)?.play(tell));
        run.join().map_err(|_| anyhow!("the run panicked"))?
    })
}

struct Run<'a> {
    options: &'a ChaosOptions,
    clock: Clock,
    // Declared in the order in which they must go: whoever uses the network before it.
    watch: Watch,
    workload: Workload,
    cluster: ManagedCluster,
    network: Result<Network>,
    disks: Result<()>,
    sites: Sites,
    dumps: Vec<State>,
    windows: Vec<FaultWindow>,
    reports: Vec<FaultReport>,
    broken: Vec<Broken>,
}

impl<'a> Run<'a> {
    fn start(options: &'a ChaosOptions) -> Result<Self> {
        let sites = Sites::of(options.hosts + options.spares, options.coordinators);
        let network = Network::start(sites.count());
        if let Ok(network) = &network {
            network.enter(sites.clients)?;
        }
        // Everything that is started from now on sees the same disks.
        let disks = own_mounts();
        let managed = ManagedOptions {
            small_disks: disks.is_ok(),
            ..managed_options(options, network.as_ref().ok(), sites)
        };
        let cluster = ManagedCluster::with_cluster(&managed, CLUSTER, options.hosts)?;
        let name: ClusterName = CLUSTER.parse()?;
        let clock = Clock::start();
        let brokers: Vec<_> = cluster.brokers.iter().map(crate::managed::service::Service::address).collect();
        let entrance = network.as_ref().ok().map(|network| network.namespace(sites.clients)).transpose()?;
        let watch = Watch::start(&brokers, (&name, &cluster.state()?), clock, entrance)?;
        let plan = workload_plan(options, &cluster, sites)?;
        let workload = Workload::start(plan, clock, network.as_ref().ok())?;
        let (dumps, windows, reports, broken) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            options,
            clock,
            watch,
            workload,
            cluster,
            network,
            disks,
            sites,
            dumps,
            windows,
            reports,
            broken,
        })
    }

    fn play(mut self, tell: &(dyn Fn(&str) + Sync)) -> Result<Report> {
        if let Err(why) = &self.network {
            tell(&format!("nothing will be cut: {why:#}"));
        }
        if let Err(why) = &self.disks {
            tell(&format!("no disk will be full: {why:#}"));
        }
        let scene = Scene {
            network: self.network.is_ok(),
            etcd: self.cluster.etcd.is_some(),
            disks: self.disks.is_ok(),
            clocks: library().is_some(),
            other_binary: self.options.other_binary.is_some(),
            can_grow: self.options.spares >= 2,
        };
        let faults: Box<dyn Iterator<Item = Fault>> = if self.options.script.is_empty() {
            let only = self.options.only.clone();
            let wanted =
                move |fault: &Fault| only.as_ref().is_none_or(|only| fault.to_string().contains(only));
            // Words that no fault has would be looked for without end.
            let plan = Plan::new(self.options.seed, scene).take(FAULTS_DRAWN_MAX);
            Box::new(plan.filter(wanted))
        } else {
            let script = self.options.script.clone().into_iter();
            Box::new(script.filter(move |fault| scene.allows(fault.victim, fault.harm)))
        };
        let started = Instant::now();
        for fault in faults.take(self.options.faults_max) {
            if started.elapsed() >= self.options.length {
                break;
            }
            std::thread::sleep(REST);
            self.note_dead_processes();
            let is_whole = self.one(&fault, tell)?;
            if !is_whole {
                break;
            }
        }
        std::thread::sleep(REST);
        self.note_dead_processes();
        self.finish()
    }

    /// Lets one fault come and go; whether the cluster was whole afterwards.
    fn one(&mut self, fault: &Fault, tell: &(dyn Fn(&str) + Sync)) -> Result<bool> {
        let shards = self.shards()?;
        self.dumps.push(self.cluster.block_on(self.cluster.client().metadata())?);
        let network = self.network.as_ref().ok();
        let mut ground = Ground {
            cluster: &mut self.cluster,
            network,
            sites: self.sites,
            dumps: &self.dumps,
            other_binary: self.options.other_binary.as_deref(),
        };
        let beside = fault.beside.map(|(victim, harm)| Fault::alone(victim, harm, fault.choice, fault.lasts));
        let beside = beside.map(|beside| begin(&beside, &mut ground, &shards)).transpose()?;
        let before = self.clock.now();
        let begun = match begin(fault, &mut ground, &shards) {
            Err(error) if fault.harm.is_order() => return Ok(self.note_refused(fault, &error)),
            outcome => outcome?,
        };
        let at = if fault.harm.cuts() { self.clock.now() } else { before };
        std::thread::sleep(fault.lasts);
        let Begun { what, hit, undo } = begun;
        match end(undo, &mut ground) {
            Err(error) if fault.harm.is_order() => return Ok(self.note_refused(fault, &error)),
            outcome => outcome?,
        }
        if let Some(beside) = beside {
            end(beside.undo, &mut ground)?;
        }
        let ended = self.clock.now();
        let outcome = self.wait_whole(&hit, ended);
        let whole = self.clock.now();
        let whole_ms = outcome.is_ok().then(|| whole.milliseconds_since(ended));
        let healed = whole_ms.map_or("NOT whole".to_owned(), |ms| format!("whole after {ms} ms"));
        tell(&format!("{at}: {fault} ({what}): {healed}"));
        let explains_promotion = fault.explains_promotion();
        self.windows.push(FaultWindow { at, ended, whole, hit, explains_promotion });
        self.reports.push(FaultReport {
            at_ms: at.0 / 1_000_000,
            fault: fault.to_string(),
            hit: what,
            whole_ms,
            ..FaultReport::default()
        });
        let is_whole = outcome.is_ok();
        if let Err(error) = outcome {
            let evidence = format!("after {fault}: {error:#}\n{:#?}", self.cluster.state());
            self.broken.push(Broken { what: "the cluster did not heal in time", evidence });
        }
        Ok(is_whole)
    }

    /// An operator's change was not made although enough is well for it. The run ends.
    fn note_refused(&mut self, fault: &Fault, error: &anyhow::Error) -> bool {
        let evidence = format!("{fault}: {error:#}\n{:#?}", self.cluster.state());
        self.broken.push(Broken { what: "an operator's change was not made", evidence });
        false
    }

    fn shards(&self) -> Result<Vec<ShardPlace>> {
        let deadline = Deadline::within(self.options.heal_limit);
        let mut shards = retry_until(deadline, "a broker tells the shards", || self.cluster.shards(CLUSTER))?;
        // A review may find them in another order than they were made in.
        shards.sort_by_key(|shard| shard.slots.slots().next());
        Ok(shards)
    }

    fn wait_whole(&self, hit: &[usize], ended: crate::history::Moment) -> Result<()> {
        let deadline = Deadline::within(self.options.heal_limit);
        loop {
            let outcome = self.cluster.check_whole(CLUSTER).and_then(|()| {
                let silent = hit.iter().find(|&&shard| !self.workload.wrote_since(shard, ended));
                ensure!(silent.is_none(), "shard {silent:?} takes no write");
                Ok(())
            });
            if outcome.is_ok() || deadline.passed() {
                return outcome;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Between faults every process runs; one that does not ended by itself. It is started again.
    fn note_dead_processes(&mut self) {
        let cluster = &mut self.cluster;
        let hosts = cluster.hosts.iter_mut().flat_map(crate::managed::host::Host::services);
        let control = cluster.brokers.iter_mut().chain(&mut cluster.coordinators);
        for service in hosts.chain(control).chain(&mut cluster.etcd) {
            if !service.is_running() {
                let evidence = format!("{}: {}", service.name(), service.log_tail());
                self.broken.push(Broken { what: "a process ended by itself", evidence });
                if let Err(error) = service.restart() {
                    self.broken
                        .push(Broken { what: "a process cannot be started", evidence: error.to_string() });
                }
            }
        }
    }

    fn finish(self) -> Result<Report> {
        let seen = self.workload.finish()?;
        let shards = self.watch.finish();
        if let Some(target) = &self.options.logs {
            copy_logs(self.cluster.directory(), target)?;
            std::fs::write(target.join("owners.txt"), format!("{shards:#?}"))?;
        }
        let outsiders = ClientId(u32::try_from(self.options.clients + shards.len())?);
        let judgement = judge(&seen.keys, (&shards, outsiders), &self.windows, self.clock.now());
        let why = self.network.as_ref().err().map(|error| format!("{error:#}"));
        drop(self.cluster);
        let mut report = tell_all(&seen, &judgement, self.reports);
        report.seed = self.options.seed;
        report.not_cut_because = why;
        let broken = self.broken.into_iter().chain(judgement.broken);
        report.broken = broken
            .map(|broken| BrokenReport { invariant: broken.what.to_owned(), evidence: broken.evidence })
            .collect();
        Ok(report)
    }
}

fn tell_all(seen: &Observation, judgement: &Judgement, mut faults: Vec<FaultReport>) -> Report {
    for (report, cost) in faults.iter_mut().zip(&judgement.costs) {
        report.first_write_ms = cost.first_write_ms;
        report.silence_ms = cost.silence_ms;
        report.unavailable_slots = cost.unavailable_slots;
        report.promotions = cost.promotions;
        report.lossy_promotions = cost.lossy_promotions;
        report.lost_writes = cost.lost;
        report.reads_back = cost.went_back;
    }
    let unprovoked = judgement.unprovoked.iter().map(|(at, shard)| format!("shard {shard} at {at}"));
    let operations = || seen.keys.iter().flat_map(|history| &history.operations);
    Report {
        faults,
        unprovoked_promotions: unprovoked.collect(),
        operations: operations().count(),
        unknown_outcomes: operations().filter(|operation| !operation.answered()).count(),
        judged_parts: judgement.parts,
        judged_operations: judgement.judged,
        failures: seen.failures.clone(),
        ..Report::default()
    }
}

fn managed_options(options: &ChaosOptions, network: Option<&Network>, sites: Sites) -> ManagedOptions {
    let place = |host: usize| match network {
        Some(network) => Place { ip: network.address(host), launcher: network.launcher(host) },
        None => Place::default(),
    };
    ManagedOptions {
        brokers: options.brokers,
        coordinators: options.coordinators,
        hosts: (0..sites.hosts).map(place).collect(),
        control: place(sites.control),
        coordinator_places: (0..sites.coordinators).map(|number| place(sites.coordinator(number))).collect(),
        ..ManagedOptions::of(sites.hosts)
    }
    .broker("write_token", WRITE_TOKEN)
    .coordinator("broker_token", WRITE_TOKEN)
}

fn workload_plan(options: &ChaosOptions, cluster: &ManagedCluster, sites: Sites) -> Result<WorkloadPlan> {
    let mut keys = Vec::new();
    for (shard, place) in cluster.shards(CLUSTER)?.iter().enumerate() {
        let key = |kind, prefix: &str, number| -> Result<Key> {
            Ok(Key { name: place.key(prefix, number)?, kind, shard })
        };
        for number in 0..options.registers {
            keys.push(key(KeyKind::Register, "register", number)?);
        }
        for number in 1..options.registers {
            keys.push(key(KeyKind::Counter, "counter", number)?);
        }
    }
    let proxies = cluster.proxies();
    let place = |host, first, shard, reply_limit| ClientPlace {
        host: Some(host),
        seeds: proxies.clone(),
        first: first % proxies.len(),
        shard,
        reply_limit,
    };
    let far = (0..options.clients).map(|number| place(sites.clients, number, None, REPLY_LIMIT));
    let shards = (0..options.hosts).map(|shard| place(sites.clients, shard, Some(shard), PULSE_REPLY_LIMIT));
    // One beside each proxy: cut off with it, it is the one whom a lonely primary could still serve.
    let near = (0..sites.hosts).map(|host| place(host, host, None, REPLY_LIMIT));
    let clients = far.chain(shards).chain(near).collect();
    Ok(WorkloadPlan { keys, clients, pause: options.pause, seed: options.seed })
}

/// Copies every file called `log`, named by where it was.
fn copy_logs(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "log") {
                let name = folder.strip_prefix(from)?.to_string_lossy().replace('/', "-");
                std::fs::copy(&path, to.join(format!("{name}.log")))?;
            }
        }
    }
    Ok(())
}
