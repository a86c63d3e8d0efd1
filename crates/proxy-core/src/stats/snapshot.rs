//! The counters of all workers, summed at one moment.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::Address;

use super::{BackendStats, CommandStats, LatencyCounts, WorkerStats};

/// What all workers counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The plain counters.
    pub totals: Totals,
    /// By command id; only commands that were used.
    pub commands: BTreeMap<usize, CommandTotals>,
    /// By node and database.
    pub backends: BTreeMap<(String, u32), BackendTotals>,
    /// Error replies sent to clients, by code.
    pub errors: BTreeMap<Cow<'static, str>, u64>,
}

/// Sums of the counters of [`WorkerStats`] that have the same names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the sum of the counter of the same name, documented there")]
pub struct Totals {
    pub sessions: u64,
    pub sessions_held: u64,
    pub sessions_accepted: u64,
    pub sessions_rejected: u64,
    pub sessions_dropped: u64,
    pub sessions_timed_out: u64,
    pub closes_refused: u64,
    pub protocol_errors: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub requests: u64,
    pub turns: u64,
    pub batches: u64,
    pub batched_requests: u64,
    pub slow_requests: u64,
}

/// Sums of [`CommandStats`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the sum of the counter of the same name, documented there")]
pub struct CommandTotals {
    pub calls: u64,
    pub rejected: u64,
    pub failed: u64,
    pub us: u64,
    pub timed: u64,
    pub latency: LatencyCounts,
}

/// Sums of [`BackendStats`] over workers and connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the sum of the counter of the same name, documented there")]
pub struct BackendTotals {
    pub address: Address,
    pub db: u32,
    pub connections: u64,
    pub connected: u64,
    pub requests: u64,
    pub replies: u64,
    pub errors: u64,
    pub lost: u64,
    pub timeouts: u64,
    pub reconnects: u64,
    pub connect_failures: u64,
    pub batches: u64,
    pub bytes_out: u64,
    pub bytes_in: u64,
    pub latency: LatencyCounts,
}

impl Snapshot {
    /// Reads the counters of `workers`.
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a WorkerStats>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for worker in workers {
            snapshot.totals.add(worker);
            for (id, stats) in worker.commands() {
                snapshot.commands.entry(id).or_default().add(stats);
            }
            for stats in worker.backends() {
                let key = (stats.address.to_string(), stats.db);
                let empty = || BackendTotals::new(&stats);
                snapshot.backends.entry(key).or_insert_with(empty).add(&stats);
            }
            for (code, count) in worker.errors() {
                *snapshot.errors.entry(code).or_default() += count;
            }
        }
        snapshot
    }

    /// What was counted since `baseline`, an earlier snapshot: CONFIG RESETSTAT keeps one instead of writing to
    /// counters that are not its own. Gauges stay as they are.
    #[must_use]
    pub fn since(&self, baseline: &Snapshot) -> Snapshot {
        let mut rest = self.clone();
        rest.totals.subtract(&baseline.totals);
        for (id, before) in &baseline.commands {
            if let Some(command) = rest.commands.get_mut(id) {
                command.subtract(before);
            }
        }
        rest.commands.retain(|_, command| command.calls + command.rejected > 0);
        for (code, before) in &baseline.errors {
            if let Some(total) = rest.errors.get_mut(code) {
                *total = total.saturating_sub(*before);
            }
        }
        rest.errors.retain(|_, count| *count > 0);
        rest
    }

    /// Error replies sent, of all kinds.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Totals {
    fn add(&mut self, worker: &WorkerStats) {
        self.sessions += worker.sessions.get();
        self.sessions_held += worker.sessions_held.get();
        self.sessions_accepted += worker.sessions_accepted.get();
        self.sessions_rejected += worker.sessions_rejected.get();
        self.sessions_dropped += worker.sessions_dropped.get();
        self.sessions_timed_out += worker.sessions_timed_out.get();
        self.closes_refused += worker.closes_refused.get();
        self.protocol_errors += worker.protocol_errors.get();
        self.bytes_in += worker.bytes_in.get();
        self.bytes_out += worker.bytes_out.get();
        self.requests += worker.requests.get();
        self.turns += worker.turns.get();
        self.batches += worker.batches.get();
        self.batched_requests += worker.batched_requests.get();
        self.slow_requests += worker.slow_requests.get();
    }

    /// All but `sessions` and `sessions_held`, which are gauges.
    fn subtract(&mut self, before: &Totals) {
        let less = |total: &mut u64, before: u64| *total = total.saturating_sub(before);
        less(&mut self.sessions_accepted, before.sessions_accepted);
        less(&mut self.sessions_rejected, before.sessions_rejected);
        less(&mut self.sessions_dropped, before.sessions_dropped);
        less(&mut self.sessions_timed_out, before.sessions_timed_out);
        less(&mut self.closes_refused, before.closes_refused);
        less(&mut self.protocol_errors, before.protocol_errors);
        less(&mut self.bytes_in, before.bytes_in);
        less(&mut self.bytes_out, before.bytes_out);
        less(&mut self.requests, before.requests);
        less(&mut self.turns, before.turns);
        less(&mut self.batches, before.batches);
        less(&mut self.batched_requests, before.batched_requests);
        less(&mut self.slow_requests, before.slow_requests);
    }
}

impl CommandTotals {
    fn add(&mut self, stats: &CommandStats) {
        self.calls += stats.calls.get();
        self.rejected += stats.rejected.get();
        self.failed += stats.failed.get();
        self.us += stats.us.get();
        self.timed += stats.timed.get();
        stats.latency.add_to(&mut self.latency);
    }

    fn subtract(&mut self, before: &CommandTotals) {
        self.calls = self.calls.saturating_sub(before.calls);
        self.rejected = self.rejected.saturating_sub(before.rejected);
        self.failed = self.failed.saturating_sub(before.failed);
        self.us = self.us.saturating_sub(before.us);
        self.timed = self.timed.saturating_sub(before.timed);
        self.latency = self.latency.since(&before.latency);
    }
}

impl BackendTotals {
    fn new(stats: &BackendStats) -> BackendTotals {
        BackendTotals {
            address: stats.address.clone(),
            db: stats.db,
            connections: 0,
            connected: 0,
            requests: 0,
            replies: 0,
            errors: 0,
            lost: 0,
            timeouts: 0,
            reconnects: 0,
            connect_failures: 0,
            batches: 0,
            bytes_out: 0,
            bytes_in: 0,
            latency: LatencyCounts::default(),
        }
    }

    fn add(&mut self, stats: &BackendStats) {
        self.connections += 1;
        self.connected += stats.connected.get();
        self.requests += stats.requests.get();
        self.replies += stats.replies.get();
        self.errors += stats.errors.get();
        self.lost += stats.lost.get();
        self.timeouts += stats.timeouts.get();
        self.reconnects += stats.reconnects.get();
        self.connect_failures += stats.connect_failures.get();
        self.batches += stats.batches.get();
        self.bytes_out += stats.bytes_out.get();
        self.bytes_in += stats.bytes_in.get();
        stats.latency.add_to(&mut self.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandId;

    #[test]
    fn workers_are_summed() {
        let (one, two) = (WorkerStats::new(), WorkerStats::new());
        for (worker, amount) in [(&one, 1), (&two, 10)] {
            worker.sessions.add(amount);
            worker.requests.add(amount);
            worker.command(CommandId(3)).calls.add(amount);
            worker.count_error(b"-ERR x\r\n");
            worker.add_backend("10.0.0.1:1".parse().unwrap(), 0).requests.add(amount);
        }
        two.sessions.subtract(4);
        // Beyond the places there are, commands share the last one.
        two.command(CommandId(u16::MAX)).calls.increment();
        let gone = two.add_backend("10.0.0.2:1".parse().unwrap(), 0);
        two.remove_backend(&gone);

        let snapshot = Snapshot::of([&one, &two]);
        assert_eq!((snapshot.totals.sessions, snapshot.totals.requests), (7, 11));
        assert_eq!(snapshot.commands[&3].calls, 11);
        assert_eq!(
            snapshot.commands.keys().copied().collect::<Vec<_>>(),
            [3, super::super::COMMANDS_MAX - 1]
        );
        assert_eq!(snapshot.errors_total(), 2);
        let backends: Vec<_> = snapshot.backends.values().map(|b| (b.connections, b.requests)).collect();
        assert_eq!(backends, [(2, 11)]);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "workers write on threads of their own")]
    fn a_reader_sees_what_the_writer_wrote() {
        let stats = WorkerStats::new();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..10_000).for_each(|_| stats.requests.increment()));
            let mut last = 0;
            while !writer.is_finished() {
                let now = Snapshot::of([&stats]).totals.requests;
                assert!(now >= last, "a counter never goes back");
                last = now;
            }
        });
        assert_eq!(Snapshot::of([&stats]).totals.requests, 10_000);
    }
}
