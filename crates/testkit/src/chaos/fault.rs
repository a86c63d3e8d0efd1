//! Faults on a running cluster: how one begins, and how it ends.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::clock::{set_right, shift};
use super::credentials::Credential;
use super::full::{clear, fill};
use super::kind::{Fault, Harm};
use super::network::{Direction, Network};
use super::orders::{give_back, grow, hand_over};
use super::restore::restore;
use super::services::{Ground, ServiceName, each};
use super::target::{Target, resolve};
use super::trouble::Trouble;
use crate::managed::service::Service;
use crate::managed::shard::ShardPlace;
use crate::stranger;

/// How many nodes a chunk has.
const CHUNK_NODES: usize = control_core::CHUNK_NODES;

/// A fault that has begun.
#[derive(Debug)]
pub struct Begun {
    /// What was hit, for people.
    pub what: String,
    /// The shards whose service it hits, ascending.
    pub hit: Vec<usize>,
    /// How it ends.
    pub undo: Vec<Undo>,
}

/// A step of a fault's end.
#[derive(Debug)]
pub enum Undo {
    /// Start processes again.
    Restart(Vec<ServiceName>),
    /// Let processes go on.
    Thaw(Vec<ServiceName>),
    /// Let packets through again between a host and others.
    Mend(usize, Vec<usize>, Direction),
    /// Stop a process that only the fault has started.
    Stop(Box<Service>),
    /// Give Redis servers the settings back with which they were started.
    Settings(Vec<ServiceName>, Trouble),
    /// Give disks their room back.
    Clear(Vec<ServiceName>),
    /// Start processes again with the machine's clock.
    SetRight(Vec<ServiceName>),
    /// Start processes again from this program.
    Program(Vec<ServiceName>, PathBuf),
    /// Start coordinators again with a credential that is taken.
    Credential(Vec<ServiceName>, Credential),
    /// Give nodes without slots back to the pool.
    GiveBack,
}

/// Begins a fault.
///
/// # Errors
/// When a process or a line cannot be harmed, which is not the product's fault; or when brokers do not make the change
/// that an operator wants.
pub fn begin(fault: &Fault, ground: &mut Ground<'_>, shards: &[ShardPlace]) -> Result<Begun> {
    let target = resolve(fault, ground.cluster, shards, ground.sites)?;
    let cluster = &mut *ground.cluster;
    let services = &target.services;
    let undo = match fault.harm {
        Harm::Kill => {
            each(cluster, services, |service| {
                service.kill();
                Ok(())
            })?;
            vec![Undo::Restart(services.clone())]
        }
        Harm::Bounce => {
            each(cluster, services, Service::restart)?;
            Vec::new()
        }
        Harm::Freeze => {
            each(cluster, services, |service| service.process().freeze())?;
            vec![Undo::Thaw(services.clone())]
        }
        Harm::Pause => {
            each(cluster, services, |service| service.process().freeze())?;
            let mut undo = vec![Undo::Thaw(services.clone())];
            if ground.network.is_some() {
                undo.extend(cut(ground, &target, Direction::Both, ground.sites.count())?);
            }
            undo
        }
        Harm::Cut(direction) => cut(ground, &target, direction, ground.sites.count())?,
        Harm::CutFromCluster => cut(ground, &target, Direction::Both, ground.sites.clients)?,
        Harm::Copied { by_hanging } => {
            let primary = shards[fault.choice % shards.len()].primary;
            let mut stranger = stranger::copy(ground.cluster, primary, &ground.beside_clients())?;
            if by_hanging {
                stranger.process().freeze()?;
            }
            vec![Undo::Stop(Box::new(stranger))]
        }
        Harm::Trouble(trouble) => {
            each(cluster, services, |service| trouble.make(service))?;
            vec![Undo::Settings(services.clone(), trouble)]
        }
        Harm::OtherTime => {
            each(cluster, services, |service| shift(service, fault.choice))?;
            vec![Undo::SetRight(services.clone())]
        }
        Harm::OtherVersion => {
            let program = ground.other_binary.context("there is another binary")?;
            let mut usual = PathBuf::new();
            each(cluster, services, |service| {
                usual = std::mem::replace(&mut service.recipe().program, program.to_owned());
                service.restart()
            })?;
            vec![Undo::Program(services.clone(), usual)]
        }
        Harm::Restore => {
            let dumps = ground.dumps;
            let dump = dumps.get(fault.choice % dumps.len().max(1)).context("there is a dump")?;
            restore(cluster, dump)?;
            Vec::new()
        }
        Harm::FullDisk => {
            for service in services {
                fill(service, cluster)?;
            }
            vec![Undo::Clear(services.clone())]
        }
        Harm::Refused(credential) => {
            each(cluster, services, |service| credential.spoil(service))?;
            vec![Undo::Credential(services.clone(), credential)]
        }
        Harm::Rotate(credential) => {
            credential.rotate(cluster)?;
            Vec::new()
        }
        Harm::HandOver => {
            hand_over(cluster, &shards[fault.choice % shards.len()])?;
            Vec::new()
        }
        Harm::Grow => {
            grow(cluster, shards.len() * 2 + CHUNK_NODES)?;
            vec![Undo::GiveBack]
        }
    };
    Ok(Begun { what: target.what, hit: target.hit, undo })
}

/// Ends a fault: what was done last is undone first.
///
/// # Errors
/// When a program cannot be started or a line not be mended, or brokers do not take the chunk back.
pub fn end(undo: Vec<Undo>, ground: &mut Ground<'_>) -> Result<()> {
    for step in undo.into_iter().rev() {
        match step {
            Undo::Restart(services) => each(ground.cluster, &services, Service::restart)?,
            Undo::Thaw(services) => each(ground.cluster, &services, |service| service.process().thaw())?,
            Undo::Mend(host, others, direction) => {
                network(ground)?.isolate(host, &others, direction, false)?;
            }
            Undo::Stop(stranger) => drop(stranger),
            Undo::Settings(services, trouble) => {
                each(ground.cluster, &services, |service| trouble.end(service))?;
            }
            Undo::Clear(services) => {
                for service in &services {
                    clear(service, ground.cluster)?;
                }
            }
            Undo::SetRight(services) => each(ground.cluster, &services, set_right)?,
            Undo::Program(services, program) => each(ground.cluster, &services, |service| {
                service.recipe().program.clone_from(&program);
                service.restart()
            })?,
            Undo::Credential(services, credential) => {
                let wanted = credential.wanted(ground.cluster).unwrap_or_default();
                each(ground.cluster, &services, |service| credential.give(service, &wanted))?;
            }
            Undo::GiveBack => give_back(ground.cluster)?,
        }
    }
    Ok(())
}

/// Cuts the target's hosts off from one or from all others, of which there are those before `end`.
fn cut(ground: &Ground<'_>, target: &Target, direction: Direction, end: usize) -> Result<Vec<Undo>> {
    let network = network(ground)?;
    let others = || (0..end).filter(|other| !target.places.contains(other)).collect();
    let others: Vec<usize> = target.from.map_or_else(others, |other| vec![other]);
    let one = |&host: &usize| {
        network.isolate(host, &others, direction, true)?;
        Ok(Undo::Mend(host, others.clone(), direction))
    };
    target.places.iter().map(one).collect()
}

fn network<'a>(ground: &Ground<'a>) -> Result<&'a Network> {
    ground.network.context("only hosts with a network between them can be cut off")
}
