//! How long a run goes, over what, and with which faults.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::Fault;
use crate::managed::Brokers;

/// How a run goes.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// Decides the faults.
    pub seed: u64,
    /// No fault begins after this.
    pub length: Duration,
    /// At most this many faults.
    pub faults_max: usize,
    /// The faults, where the seed does not decide them.
    pub script: Vec<Fault>,
    /// Of the faults that the seed decides, only those with these words, such as `host cut off`.
    pub only: Option<String>,
    /// Hosts of the cluster: two for each chunk.
    pub hosts: usize,
    /// Hosts in the pool beside them.
    pub spares: usize,
    /// Where the metadata is kept.
    pub brokers: Brokers,
    /// How many coordinators there are.
    pub coordinators: usize,
    /// Clients of all shards. Each shard has one more of its own, and each host one that begins at its proxy.
    pub clients: usize,
    /// Registers of each shard, and as many counters less one.
    pub registers: usize,
    /// How long a client rests between two requests.
    pub pause: Duration,
    /// Within this after a fault's end the cluster must be whole.
    pub heal_limit: Duration,
    /// A binary of another version, from which a broker is started now and then.
    pub other_binary: Option<PathBuf>,
    /// Where to put every process's log when the run is over.
    pub logs: Option<PathBuf>,
}

impl ChaosOptions {
    /// A run over two chunks with two spare hosts, two brokers on etcd and two coordinators.
    #[must_use]
    pub fn new(seed: u64, length: Duration) -> Self {
        Self {
            seed,
            length,
            faults_max: usize::MAX,
            script: Vec::new(),
            only: None,
            hosts: 4,
            spares: 2,
            brokers: Brokers::OnEtcd(2),
            coordinators: 2,
            clients: 4,
            registers: 4,
            pause: Duration::from_millis(8),
            heal_limit: Duration::from_secs(30),
            other_binary: None,
            logs: None,
        }
    }
}
