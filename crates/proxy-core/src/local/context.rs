//! What an answer is made from.

use super::client;
use crate::cluster_replies::FaceReplies;
use crate::settings::Settings;

/// What an answer may depend on besides the session.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The proxy's settings, now.
    pub settings: &'a Settings,
    /// The cluster as the face of the session sees it; `None` without one.
    pub cluster: Option<&'a FaceReplies>,
    /// The version of the nodes, which clients take for that of the proxy.
    pub server_version: &'a str,
    /// What the session uses, for CLIENT INFO.
    pub session_use: client::SessionUse,
    /// Unix time in µs.
    pub now_us: u64,
}
