//! The tokens of one proxy: which of them a reading of the metadata lets grant, and whether that is urgent.

use std::collections::VecDeque;
use std::time::Duration;

use model::{Address, Epoch, Moment};

use super::terms::LeaseTerms;

/// How many tokens of a proxy are held. A reading that began between two of them grants with the older one, so that
/// dropping one makes a lease end earlier by the time between its neighbours at most.
pub const TOKENS_HELD_MAX: usize = 16;
/// A lease that ends less than this part of its length, and two round trips, after the next probe is due is renewed
/// before that probe.
const MARGIN_PART: u32 = 8;

/// An answer to a probe, as far as leases go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Names the moment of the answer to the proxy.
    pub token: Vec<u8>,
    /// When the probe was sent: the token was issued then or later.
    pub asked: Moment,
    /// When the answer came: the token was issued before.
    pub came: Moment,
    /// The epoch of the view that the proxy had.
    pub view_epoch: Epoch,
}

/// A lease to be granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// From which of its moments the proxy is to count.
    pub token: Vec<u8>,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// The tokens of one proxy that may still be of use, and until when its lease lasts.
#[derive(Debug)]
pub struct Tokens {
    proxy: Address,
    /// In the order in which they came.
    held: VecDeque<ProbeAnswer>,
    /// The lease that the probe under way grants ends then or later.
    sent_until: Option<Moment>,
    /// The lease that the proxy is known to have ends then or later.
    granted_until: Option<Moment>,
}

/// Leases go on where a pause with the readings before and after it fits that many times into one.
const READING_PART: u32 = 3;

impl Tokens {
    /// None yet.
    #[must_use]
    pub const fn new(proxy: Address) -> Self {
        Self { proxy, held: VecDeque::new(), sent_until: None, granted_until: None }
    }

    /// The lease that a probe which is sent now is to grant: by the newest token that came before the reading began,
    /// from a view that is new enough. `None` where there is no such token.
    #[must_use = "the proxy has to be told"]
    pub fn grant(&mut self, terms: &LeaseTerms, now: Moment) -> Option<Grant> {
        self.sent_until = None;
        let newest = self.grantable(terms)?;
        // A later reading never grants by an older one than this. It stays: the probe may be lost.
        self.held.drain(..newest);
        let until = self.held[0].asked.plus(Duration::from_millis(terms.lease_ms));
        self.sent_until = Some(until);
        (until > now).then(|| Grant { token: self.held[0].token.clone(), for_ms: terms.lease_ms })
    }

    /// The connection to the proxy is another: what was granted, another process of it may have been granted.
    pub const fn reconnected(&mut self) {
        (self.sent_until, self.granted_until) = (None, None);
    }

    /// The answer to the probe that was sent last has come; a lease that it granted has arrived.
    pub fn answered(&mut self, answer: ProbeAnswer) {
        self.granted_until = self.granted_until.max(self.sent_until.take());
        self.held.push_back(answer);
        if self.held.len() > TOKENS_HELD_MAX {
            self.thin_out();
        }
    }

    /// Whether a probe should be sent at once, because the lease would end before the next one, which is due at
    /// `next_probe`, has renewed it; and this reading lets it be renewed.
    #[must_use]
    pub fn hurries(&self, terms: &LeaseTerms, next_probe: Moment) -> bool {
        let length = Duration::from_millis(terms.lease_ms);
        let Some(newest) = self.grantable(terms) else { return false };
        let would_last_until = self.held[newest].asked.plus(length);
        let is_longer = self.granted_until.is_none_or(|until| would_last_until > until);
        // That probe has to arrive, and the one before may have been on its way when this was read.
        let held = &self.held[newest];
        let round_trip = held.came.0.saturating_sub(held.asked.0);
        let margin = length / MARGIN_PART + round_trip * 2;
        let is_short = self.granted_until.is_none_or(|until| until <= next_probe.plus(margin));
        // The next probe would renew it by this token; the token that it brings can be granted only after a reading that
        // begins later. Where too little of the lease would be left for that, a younger token is fetched now.
        let is_old = would_last_until <= next_probe.plus(length / READING_PART + round_trip * 2);
        is_longer && (is_short || is_old)
    }

    /// When the tokens came that are held.
    #[cfg(test)]
    pub(super) fn held_moments(&self) -> impl Iterator<Item = Moment> {
        self.held.iter().map(|held| held.came)
    }

    /// The place of the newest token by which these terms let grant.
    fn grantable(&self, terms: &LeaseTerms) -> Option<usize> {
        let wanted = terms.epoch_for(&self.proxy)?;
        // This metadata cannot have given out the view: it is old, and a proxy with a newer view may serve instead.
        let is_fit = |epoch: Epoch| (wanted..=terms.newest).contains(&epoch);
        let is_usable = |came: Moment| terms.began_after(came, &self.proxy);
        self.held.iter().rposition(|held| is_usable(held.came) && is_fit(held.view_epoch))
    }

    /// Drops the token whose neighbours are closest to each other, so that those that are left cover the time as evenly
    /// as they can. The oldest and the newest stay.
    fn thin_out(&mut self) {
        let gap = |place: &usize| self.held[place + 1].came.0.saturating_sub(self.held[place - 1].came.0);
        let closest = (1..self.held.len().saturating_sub(1)).min_by_key(gap);
        if let Some(closest) = closest {
            self.held.remove(closest);
        }
    }
}
