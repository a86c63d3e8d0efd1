//! What a coordinator keeps of each proxy, and what it is given.

use std::collections::VecDeque;

use control_core::{TimeMs, Timing, Tokens};
use model::{Address, Epoch, Moment};

use crate::event::ProxyAsk;
use crate::planted::Planted;

/// The probing of one proxy.
#[derive(Debug)]
pub(crate) struct Probing {
    pub(crate) tokens: Tokens,
    /// The question that is under way, and when it was asked.
    pub(crate) asked: Option<(u64, Moment)>,
    /// When the next is due.
    pub(crate) next: Moment,
}

/// What is being done to one proxy.
#[derive(Debug)]
pub(crate) struct Push {
    pub(crate) request: u64,
    pub(crate) left: VecDeque<ProxyAsk>,
    pub(crate) cleans: Option<Epoch>,
}

/// What was done to one proxy.
#[derive(Debug, Default)]
pub(crate) struct Pushed {
    pub(crate) not_before: Moment,
    /// When the last push came to an end: an answer from before says nothing about what the proxy has now.
    pub(crate) ended: Option<Moment>,
    pub(crate) heard: Option<Moment>,
}

/// What it takes to start one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CoordinatorStart {
    /// Which it is.
    pub(crate) number: usize,
    /// Names the process.
    pub(crate) reader: u64,
    /// How many brokers there are, and which it asks first.
    pub(crate) brokers: usize,
    /// That one.
    pub(crate) broker: usize,
    /// How long it waits for what.
    pub(crate) timing: Timing,
}

/// What the world knows that a coordinator needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch<'a> {
    /// Its clock.
    pub(crate) moment: Moment,
    /// Its date.
    pub(crate) date: TimeMs,
    /// The proxies.
    pub(crate) proxies: &'a [Address],
    /// The rule that does not hold.
    pub(crate) planted: Option<Planted>,
}
