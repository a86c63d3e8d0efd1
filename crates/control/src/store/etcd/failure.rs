//! What a failed call to etcd means for the store.

use crate::store::StoreError;
use etcd_client::Error;

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(super) fn unavailable(error: Error) -> StoreError {
    StoreError::Unavailable(format!("etcd: {error}"))
}
