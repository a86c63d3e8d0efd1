//! When the size of a cluster may change: adding nodes and spreading slots ask the same.

use model::ClusterName;

use crate::error::ApplyError;
use crate::state::State;

/// That nothing moves and no nodes are being added.
pub(super) fn check_settled(state: &State, name: &ClusterName) -> Result<(), ApplyError> {
    let cluster = state.cluster(name)?;
    if cluster.scaling.is_some() {
        return Err(ApplyError::NodeNumberChanging(name.clone()));
    }
    if !cluster.migrations.is_empty() {
        return Err(ApplyError::MigrationRunning(name.clone()));
    }
    Ok(())
}
