//! How long leases may be.

use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{LeaseLimit, State};

/// Changes the limit from what the caller has read.
pub(super) fn limit(state: &mut State, from: LeaseLimit, to: LeaseLimit) -> Result<Reply, ApplyError> {
    if state.lease_limit != from {
        return Err(ApplyError::Retry("the limit of leases has changed"));
    }
    if !from.may_become(to) {
        return Err(ApplyError::Retry("the limit of leases cannot become that"));
    }
    state.lease_limit = to;
    Ok(Reply::Done)
}
