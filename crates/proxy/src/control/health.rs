//! The answer to UMCTL HEALTH, the coordinators' probe: an array of names and values, nested where a value has parts
//! of its own. docs/umctl.md has its form.

use std::time::{Duration, Instant};

use model::{Address, Epoch};
use resp::encode;

use super::fence::Attachments;
use super::node_status::{NodeLink, NodeRole};
use super::nodes::{Health, Seen};
use super::stopping::Settling;
use super::thread::Control;
use super::umctl::LeaseGrant;

/// A link on which nothing came for so long is told as broken: the proxy of a primary for which a coordinator cares
/// makes it send something ten times a second, while Redis takes a line that swallows packets for a good one for a
/// minute.
const LINK_SILENT_S: u64 = 2;

impl Control {
    /// UMCTL HEALTH: takes the lease that comes with it, and tells how everything is.
    pub(super) fn answer_health(&mut self, grant: Option<&LeaseGrant>, reply: &mut Vec<u8>) {
        let now = Instant::now();
        if let Some(grant) = grant {
            let is_first = self.lease.limit().is_none();
            if self.lease.grant(&grant.token, grant.length, now) {
                if is_first {
                    self.follow_primaries();
                }
                self.set_fence();
            }
        }
        let report = HealthReport {
            token: self.lease.token(now),
            epochs: self.told_epochs,
            lease_left: self.lease.until().saturating_duration_since(now),
            lease_longest: self.lease.longest(),
            nodes: self.nodes.seen().collect(),
            settling: &self.settling,
            attachments: &self.fences.attachments,
        };
        report.write(now, reply);
    }
}

/// What is told.
#[derive(Debug)]
pub(super) struct HealthReport<'a> {
    /// Stands for this moment.
    pub(super) token: String,
    /// Of the view, and of the roles.
    pub(super) epochs: (Epoch, Epoch),
    /// How much longer the lease lasts.
    pub(super) lease_left: Duration,
    /// The longest lease that any coordinator has granted.
    pub(super) lease_longest: Duration,
    /// The nodes.
    pub(super) nodes: Vec<(&'a Address, Seen<'a>)>,
    /// What became of those that lost their slots.
    pub(super) settling: &'a Settling,
    /// Which primaries have a replica that acknowledges.
    pub(super) attachments: &'a Attachments,
}

impl HealthReport<'_> {
    /// Appends the reply.
    pub(super) fn write(&self, now: Instant, reply: &mut Vec<u8>) {
        encode::array(reply, 14);
        text(reply, "token", &self.token);
        number(reply, "epoch", self.epochs.0.0);
        number(reply, "roles_epoch", self.epochs.1.0);
        number(reply, "lease_ms", whole_ms(self.lease_left));
        number(reply, "lease_longest_ms", whole_ms(self.lease_longest));
        encode::bulk(reply, b"nodes");
        encode::array(reply, self.nodes.len());
        for (address, seen) in &self.nodes {
            let is_attached = self.attachments.is_attached(address, now);
            node(reply, address, seen, now, (self.settling.is_replicated(address), is_attached));
        }
        // Imports that wait to be committed; this proxy has none.
        encode::bulk(reply, b"finished");
        encode::array(reply, 0);
    }
}

/// `(is_replicated, is_attached)`: what is known of its replica.
fn node(
    reply: &mut Vec<u8>,
    address: &Address,
    seen: &Seen<'_>,
    now: Instant,
    (is_replicated, is_attached): (bool, bool),
) {
    let down_ms = whole_ms(now.saturating_duration_since(seen.answered));
    let (state, for_ms) = match seen.health {
        Health::Up(status) if status.loading => ("loading", 0),
        Health::Up(_) => ("up", 0),
        // Nobody has looked yet, or it does not answer: for as long as that is so.
        Health::Unknown | Health::Down(_) => ("down", down_ms),
    };
    let status = seen.health.status();
    let (role, primary, link) = match status.map(|status| &status.role) {
        None | Some(NodeRole::Primary) => ("master", String::new(), ("none", 0)),
        Some(NodeRole::Replica { host, port, link }) => {
            let primary = Address::new(host, *port).map(|address| address.to_string());
            let silent_s = status.map_or(0, |status| status.link_silent_s);
            let link = match link {
                NodeLink::Up if silent_s >= LINK_SILENT_S => ("down", silent_s.saturating_mul(1000)),
                NodeLink::Up => ("up", 0),
                NodeLink::Syncing => ("syncing", 0),
                NodeLink::Down { for_s } => ("down", for_s.saturating_mul(1000)),
            };
            ("replica", primary.unwrap_or_default(), link)
        }
    };
    encode::array(reply, 24);
    text(reply, "address", &address.to_string());
    text(reply, "state", state);
    number(reply, "for_ms", for_ms);
    number(reply, "restarted", u64::from(status.is_some_and(|status| status.restarted)));
    text(reply, "role", role);
    text(reply, "primary", &primary);
    text(reply, "link", link.0);
    number(reply, "link_for_ms", link.1);
    number(reply, "offset", status.map_or(0, |status| status.offset));
    number(reply, "replicated", u64::from(is_replicated));
    number(reply, "attached", u64::from(is_attached));
    number(reply, "role_epoch", seen.role_epoch.0);
}

fn text(reply: &mut Vec<u8>, name: &str, value: &str) {
    encode::bulk(reply, name.as_bytes());
    encode::bulk(reply, value.as_bytes());
}

fn number(reply: &mut Vec<u8>, name: &str, value: u64) {
    encode::bulk(reply, name.as_bytes());
    encode::integer(reply, i64::try_from(value).unwrap_or(i64::MAX));
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
