//! Real servers for tests: starts Redis and our processes, builds clusters, injects faults, and compares what a
//! proxy answers with what Redis answers.
//!
//! Everything started here is stopped by its own pid when it is dropped, and dies with the test in any case.
//! Nothing here may be used outside tests and tools.

pub mod binary;
pub mod chaos;
pub mod cluster;
pub mod connection;
pub mod frame;
pub mod history;
pub mod linearizability;
pub mod load;
pub mod losses;
pub mod managed;
pub mod oracle;
pub mod port;
pub mod process;
pub mod proof;
pub mod proxy;
pub mod redis_server;
pub mod relay;
pub mod schema;
pub mod stalls;
pub mod stranger;
pub mod stress;
pub mod tagged;
pub mod wait;
