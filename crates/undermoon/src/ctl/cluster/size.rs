//! How the size of a cluster is given on the command line.

use control_core::CHUNK_NODES;

/// How large a cluster is
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(in crate::ctl) struct Size {
    /// How many chunks: two proxies with four nodes each, which are two primaries and two replicas
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    chunks: Option<u16>,
    /// How many nodes: a multiple of four
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..))]
    nodes: Option<u16>,
}

impl Size {
    /// As a number of nodes, as the API counts.
    pub(in crate::ctl) fn nodes(self) -> usize {
        let chunks = self.chunks.map(|chunks| usize::from(chunks) * CHUNK_NODES);
        chunks.or(self.nodes.map(usize::from)).unwrap_or(0)
    }
}
