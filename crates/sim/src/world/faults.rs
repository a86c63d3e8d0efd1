//! What breaks, and how it is mended.

use model::Address;

use super::{Status, World};
use crate::event::Process;
use crate::fault::Fault;
use crate::node::Node;
use crate::planted::Planted;

impl World {
    /// Breaks something.
    pub fn strike(&mut self, fault: &Fault) {
        self.checks.disturb(format!("{} ms {fault:?}", self.now / 1000), self.now);
        match *fault {
            Fault::Kill(process) => self.kill(process),
            Fault::Start(process) => self.start(process, true),
            Fault::StartEmpty(node) => self.start(Process::Node(node), false),
            Fault::Stop(process) => {
                let status = self.processes.get_mut(&process).expect("it is there");
                (status.is_stopped, status.is_working) = (true, false);
            }
            Fault::Work(node) => {
                let status = self.processes.get_mut(&Process::Node(node)).expect("it is there");
                (status.is_stopped, status.is_working) = (true, true);
            }
            Fault::Continue(process) => self.go_on(process),
            Fault::Pause(machine) => {
                let now = self.now;
                self.machines[machine].paused.get_or_insert(now);
            }
            Fault::Resume(machine) => self.resume(machine),
            Fault::Cut(from, to) => drop(self.network.cuts.insert((from, to))),
            Fault::Join(from, to) => drop(self.network.cuts.remove(&(from, to))),
            Fault::Lose(ppm) => self.network.lost_ppm = ppm,
            Fault::Double(ppm) => self.network.doubled_ppm = ppm,
            Fault::Delay { ppm, us_max } => {
                (self.network.late_ppm, self.network.late_us_max) = (ppm, us_max);
            }
            Fault::ForeignReplica(shard) => self.add_foreign_replica(shard),
            Fault::Heal => self.heal(),
        }
    }

    fn kill(&mut self, process: Process) {
        let status = self.processes.get_mut(&process).expect("it is there");
        (status.is_running, status.is_stopped, status.is_working) = (false, false, false);
        let waiting = std::mem::take(&mut status.waiting);
        for scheduled in waiting {
            self.refuse(process, &scheduled.event);
        }
        if let Process::Node(place) = process {
            // Its replicas' connections are gone, and so is its own.
            let gone = self.nodes[place].address.clone();
            for node in &mut self.nodes {
                node.acknowledged.remove(&gone);
            }
        }
    }

    fn start(&mut self, process: Process, has_data: bool) {
        if self.processes[&process].is_running {
            self.kill(process);
        }
        let status = self.processes.get_mut(&process).expect("it is there");
        status.is_running = true;
        status.incarnation += 1;
        let incarnation = status.incarnation;
        match process {
            Process::Proxy(host) => {
                self.proxies[host] = self.new_proxy(host);
                self.wake(process);
            }
            Process::Coordinator(number) => {
                self.coordinators[number] = self.new_coordinator(number);
            }
            Process::Node(place) => {
                let node = &mut self.nodes[place];
                let log = if has_data { std::mem::take(&mut node.log) } else { Vec::new() };
                let run_id = format!("node-{place}-{incarnation}");
                *node = Node::start(node.address.clone(), run_id, log);
                self.schedule(self.now, process, Some(incarnation), crate::event::Event::Follow);
            }
            Process::Broker(place) => self.brokers[place] = self.new_broker(place),
        }
    }

    fn go_on(&mut self, process: Process) {
        let status = self.processes.get_mut(&process).expect("it is there");
        (status.is_stopped, status.is_working) = (false, false);
        let waiting = std::mem::take(&mut status.waiting);
        for scheduled in waiting {
            self.schedule(self.now, scheduled.to, scheduled.incarnation, scheduled.event);
        }
    }

    fn resume(&mut self, machine: usize) {
        let Some(since) = self.machines[machine].paused.take() else { return };
        if self.setup.planted == Some(Planted::ClocksStandStill) {
            self.machines[machine].clock.stood_still_us += self.now - since;
        }
        let is_here = |(_, status): &(&Process, &Status)| status.machine == machine && !status.is_stopped;
        let own: Vec<Process> = self.processes.iter().filter(is_here).map(|(process, _)| *process).collect();
        own.into_iter().for_each(|process| self.go_on(process));
    }

    /// A replica that nobody manages: a backup, or a copy for analysis.
    fn add_foreign_replica(&mut self, shard: usize) {
        let (chunk, half) = self.shard(shard);
        let primary = chunk.primary(half).clone();
        let port = u16::try_from(7000 + self.nodes.len()).expect("a port");
        let address = Address::new("10.0.1.1", port).expect("an address");
        let machine = self.elsewhere();
        let place = self.add_node(address, machine);
        self.nodes[place].set_role(&keeper::DesiredRole::ReplicaOf(primary));
    }

    /// Mends everything that can be mended: what was killed is started, what was stopped goes on.
    fn heal(&mut self) {
        self.network = crate::network::Network::default();
        for machine in 0..self.machines.len() {
            self.resume(machine);
        }
        let all: Vec<Process> = self.processes.keys().copied().collect();
        for process in all {
            if self.processes[&process].is_stopped {
                self.go_on(process);
            }
            if !self.processes[&process].is_running {
                self.start(process, true);
            }
        }
    }
}
