//! What the workers need of the metadata.

use std::sync::Arc;

use keeper::Metadata;
use model::Address;
use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::route::{RouteTable, WorkerView};
use proxy_core::settings::Settings;

/// The accepted metadata as workers go by it; until when they hold what waits for another owner, and which nodes do not
/// answer.
pub(super) fn worker_view(
    metadata: &Metadata,
    settings: &Settings,
    hold_until_us: u64,
    silent: &[Address],
) -> Option<Arc<WorkerView>> {
    let (view, roles) = (metadata.view()?, metadata.roles());
    let mut replies = ClusterReplies::new(view, roles, metadata.announced(), settings);
    replies.set_slots_failing(metadata.slots_of(silent));
    let replies = Arc::new(replies);
    let mut routes = RouteTable::new(view, roles);
    if let Some(copied) = replies.copied() {
        routes.show_replica_face(copied);
    }
    if !metadata.held().is_empty() {
        routes.hold(metadata.held());
    }
    Some(Arc::new(WorkerView { routes, replies, hold_until_us }))
}
