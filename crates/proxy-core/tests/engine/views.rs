//! The cluster of these tests: its addresses, its views, and keys of a known owner.

use std::sync::Arc;

use model::{SetCluster, Slot, SlotRanges};
use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::route::{RouteTable, WorkerView};
use proxy_core::settings::Settings;

/// The addresses of the two nodes.
pub(crate) const NODES: [&str; 2] = ["127.0.0.1:7001", "127.0.0.1:7002"];
/// The other proxy of the cluster.
pub(crate) const PEER: &str = "127.0.0.2:5299";
/// Two nodes here, one proxy elsewhere, and slots that nobody owns.
pub(crate) const BOTH: &str =
    "127.0.0.1:7001 1 0-5000 127.0.0.1:7002 1 5001-10000 PEER 127.0.0.2:5299 1 10001-15000";
/// As [`BOTH`], but the nodes have changed places.
pub(crate) const SWAPPED: &str =
    "127.0.0.1:7002 1 0-5000 127.0.0.1:7001 1 5001-10000 PEER 127.0.0.2:5299 1 10001-15000";
/// As [`BOTH`], but the second node's slots are the other proxy's.
pub(crate) const FIRST_ONLY: &str = "127.0.0.1:7001 1 0-5000 PEER 127.0.0.2:5299 1 5001-15000";
/// A third node here.
pub(crate) const THIRD: &str = "127.0.0.1:7003";
/// Three nodes here; the third has what is the other proxy's in [`BOTH`].
pub(crate) const THREE: &str =
    "127.0.0.1:7001 1 0-5000 127.0.0.1:7002 1 5001-10000 127.0.0.1:7003 1 10001-15000";
/// One node with everything.
pub(crate) const ONE: &str = "127.0.0.1:7001 1 0-16383";

/// Who owns a slot in [`BOTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    First,
    Second,
    Other,
    Nobody,
}

/// The `number`-th hash tag whose slot has that owner in [`BOTH`].
pub(crate) fn tag(owner: Owner, number: usize) -> String {
    let range = match owner {
        Owner::First => 0..=5000,
        Owner::Second => 5001..=10_000,
        Owner::Other => 10_001..=15_000,
        Owner::Nobody => 15_001..=16_383,
    };
    let mut tags = (0u32..).map(|n| format!("t{n}")).filter(|tag| range.contains(&slot(tag)));
    tags.nth(number).unwrap()
}

pub(crate) fn slot(tag: &str) -> usize {
    Slot::of_key(tag.as_bytes()).index()
}

pub(crate) fn worker_view(members: &str, epoch: u64, settings: &Settings) -> Arc<WorkerView> {
    held_view(members, epoch, settings, 0)
}

/// As [`worker_view`], but slots that nobody owns are held for an owner until then.
pub(crate) fn held_view(
    members: &str,
    epoch: u64,
    settings: &Settings,
    hold_until_us: u64,
) -> Arc<WorkerView> {
    let text = format!("v2 {epoch} NOFLAGS db {members}");
    let args: Vec<&[u8]> = text.split_whitespace().map(str::as_bytes).collect();
    let view = SetCluster::parse(&args).unwrap().view;
    let mut routes = RouteTable::new(&view, None);
    if hold_until_us > 0 {
        routes.hold(&SlotRanges::all());
    }
    let me = settings.announce_address.clone();
    Arc::new(WorkerView {
        routes,
        replies: Arc::new(ClusterReplies::new(&view, None, &me, settings)),
        hold_until_us,
    })
}
