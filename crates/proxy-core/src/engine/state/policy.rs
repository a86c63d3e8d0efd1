//! The engine's limits and batching rules, each with its unit.

use super::session::Session;
use crate::settings::Settings;

/// Numbers that decide when to write, when to wait and when to give up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The longest nap between turns, µs; 0 is never. With 50 clients that wait for each answer, 90 costs a
    /// twentieth of p99, and 30 a fifteenth of the proxy's CPU (`make bench`, on two cores).
    pub nap_us_max: u64,
    /// The longest nap where reads come at `busy_reads_per_us`, µs. With 500 clients that wait for each answer, batches
    /// of Redis are then twice as large, and proxy and Redis together cost a sixth less.
    pub nap_us_busy_max: u64,
    /// Cap on a busy worker's nap, as a fraction of the average time between two reads from one session: with 50 clients
    /// such a nap is no longer than `nap_us_max`.
    pub nap_busy_fraction: f32,
    /// Reads from sessions per µs from which on a worker counts as busy: at a lower load a longer nap would only cost
    /// latency.
    pub busy_reads_per_us: f32,
    /// No nap follows a turn that asked more than it answered, where one session's reads are nearer together than this
    /// on average, µs. With 50 clients that saves a twentieth of p99 and more of the CPU; with 500 it would
    /// make batches smaller and cost a sixth of the throughput.
    pub answers_first_us_max: f32,
    /// Cap on how far pipelining may lengthen a nap, as a factor: a nap may be longer by the number of requests in a
    /// read.
    pub nap_depth_max: f32,
    /// Cap on a nap, as a fraction of the average time between two reads from one session.
    pub nap_fraction: f32,
    /// The least number of reads from sessions that a worker must expect in a nap to take one.
    pub nap_reads_min: f32,
    /// A reply must come within this time, µs; also the limit for connecting.
    pub backend_timeout_us: u64,
    /// Connections of one worker to one node, for database 0.
    pub connections_per_node: u32,
    /// Cap on the connections of one worker that sessions have to themselves for large requests, or had. At the cap a
    /// large request is gathered like any other.
    pub uploads_max: u32,
    /// Replies that a session may be owed before no more of its requests are taken. What others ask of the same node
    /// comes after them.
    pub outstanding_max: u32,
    /// Replies that a session may be owed whose client is far behind with reading: its replies are large.
    pub outstanding_behind_max: u32,
    /// With this much unwritten output a client is far behind, bytes.
    pub behind_bytes: usize,
    /// With this much unwritten output a backend takes no more requests.
    pub backend_output_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            nap_us_max: 60,
            nap_us_busy_max: 200,
            nap_busy_fraction: 0.1,
            busy_reads_per_us: 0.05,
            answers_first_us_max: 800.0,
            nap_depth_max: 4.0,
            nap_fraction: 0.2,
            nap_reads_min: 2.5,
            backend_timeout_us: 3_000_000,
            connections_per_node: 1,
            uploads_max: 128,
            outstanding_max: 1024,
            outstanding_behind_max: 16,
            behind_bytes: 1024 * 1024,
            backend_output_bytes: 16 * 1024 * 1024,
        }
    }
}

impl Policy {
    /// Takes over the settings that limits come from. No more connections are kept for a node than
    /// [`super::nodes::CONNECTIONS_MAX`].
    pub fn apply(&mut self, settings: &Settings) {
        let connections = u32::from(settings.backend_conn_num).clamp(1, super::nodes::CONNECTIONS_MAX as u32);
        self.backend_timeout_us = settings.backend_timeout_ms * 1000;
        self.connections_per_node = connections;
    }

    /// Replies that this session may be owed before no more of its requests are taken.
    #[inline]
    pub(in crate::engine) fn outstanding_max_of(&self, session: &Session) -> u32 {
        if session.out.len() >= self.behind_bytes {
            self.outstanding_max.min(self.outstanding_behind_max)
        } else {
            self.outstanding_max
        }
    }

    /// The same limits with no batching rule: every turn writes what it has.
    #[must_use]
    pub fn unbatched(self) -> Self {
        Policy { nap_us_max: 0, ..self }
    }
}
