//! What can break, and plans of that.

use crate::dice::Dice;
use crate::event::Process;
use crate::network::Machine;
use crate::world::World;

/// Something that breaks, or is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process ends at once. A node keeps its data, as on disk.
    Kill(Process),
    /// A process is started, or started anew.
    Start(Process),
    /// A node is started anew, without what it had.
    StartEmpty(usize),
    /// A process is stopped in the middle of what it does.
    Stop(Process),
    /// A node is busy: it answers nobody, and its process is seen to work.
    Work(usize),
    /// It goes on.
    Continue(Process),
    /// A machine is paused with everything on it.
    Pause(Machine),
    /// It goes on.
    Resume(Machine),
    /// Nothing comes through from the first machine to the second.
    Cut(Machine, Machine),
    /// It does again.
    Join(Machine, Machine),
    /// So many messages in a million are lost.
    Lose(u64),
    /// So many come twice.
    Double(u64),
    /// So many are late.
    Delay {
        /// How many in a million.
        ppm: u64,
        /// By how much at most.
        us_max: u64,
    },
    /// Somebody attaches a replica of his own to the primary of a shard.
    ForeignReplica(usize),
    /// Everything is mended.
    Heal,
}

/// Breaks things at random for a while, each for some time. What may break next depends on how the world is: a node loses
/// its memory only where its shard can bear it, because what is lost twice is lost.
pub fn break_things(world: &mut World, faults: u64) {
    let mut has_forgotten = false;
    for _ in 0..faults {
        let mut dice = world.dice.clone();
        let fault = choose(world, &mut dice, &mut has_forgotten);
        let pause_ms = match dice.below(3) {
            0 => dice.below(50),
            1 => dice.below(500),
            _ => dice.below(2_000),
        };
        world.dice = dice;
        world.strike(&fault);
        world.run(pause_ms);
        if !world.checks.is_well() {
            return;
        }
    }
    world.strike(&Fault::Heal);
}

fn choose(world: &World, dice: &mut Dice, has_forgotten: &mut bool) -> Fault {
    let (hosts, controls) = (world.hosts(), world.coordinator_count());
    let host = dice.place(hosts);
    let control = hosts + dice.place(controls);
    let process = match dice.below(5) {
        0 => Process::Proxy(host),
        1 => Process::Node(2 * host + dice.place(2)),
        2 => Process::Broker(dice.place(world.broker_count())),
        _ => Process::Coordinator(dice.place(controls)),
    };
    // What is lost twice is lost: until its shard has two copies again, nothing else happens to a node that forgot or to
    // those beside it.
    let is_fragile = *has_forgotten && !(0..world.shards()).all(|shard| world.is_safe(shard));
    if is_fragile {
        return match dice.below(5) {
            0 => Fault::Kill(Process::Coordinator(dice.place(controls))),
            1 => Fault::Start(Process::Coordinator(dice.place(controls))),
            2 => Fault::Pause(control),
            3 => Fault::Lose(dice.below(100_000)),
            _ => Fault::Delay { ppm: dice.below(300_000), us_max: dice.below(900_000) },
        };
    }
    match dice.below(16) {
        0 if !*has_forgotten => {
            let shard = dice.place(world.shards());
            if !world.is_safe(shard) {
                return Fault::Delay { ppm: 0, us_max: 0 };
            }
            *has_forgotten = true;
            let (chunk, half) = world.shard(shard);
            let node = if dice.happens(700_000) { chunk.primary(half) } else { chunk.replica(half) };
            world.node_place(node).map_or(Fault::Heal, Fault::StartEmpty)
        }
        0..=2 => Fault::Kill(process),
        3 => Fault::Start(process),
        4 => Fault::Stop(process),
        5 => match process {
            Process::Node(place) => Fault::Work(place),
            process => Fault::Stop(process),
        },
        6 => Fault::Continue(process),
        7 => Fault::Pause(if dice.happens(500_000) { host } else { control }),
        8 => Fault::Resume(if dice.happens(500_000) { host } else { control }),
        9 => Fault::Cut(host, control),
        10 => Fault::Cut(control, host),
        11 => Fault::Cut(host, dice.place(hosts)),
        12 => Fault::Join(host, control),
        13 => Fault::Lose(dice.below(200_000)),
        14 => Fault::Delay { ppm: dice.below(300_000), us_max: dice.below(900_000) },
        _ => {
            if dice.happens(500_000) {
                Fault::ForeignReplica(dice.place(world.shards()))
            } else {
                Fault::Double(dice.below(300_000))
            }
        }
    }
}
