//! The calls of Undermoon's `/api/v3`.

pub(super) mod clusters;
pub(super) mod proxies;
pub(super) mod scaling;
pub(super) mod whole;
