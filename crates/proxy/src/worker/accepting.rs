//! Connections accepted, or refused where there are too many.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use proxy_core::profile::Profile;
use rustix::net::{SocketFlags, acceptfrom_with, getsockname};
use tracing::warn;

use super::event_loop::{EventLoop, SessionSocket};
use super::registration::{Source, register};

/// Connections accepted in one turn.
const ACCEPTS_PER_TURN_MAX: usize = 256;

impl EventLoop {
    pub(super) fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            let Some(listener) = &self.listener else { return };
            match acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, peer)) => {
                    self.welcome(socket, peer.and_then(|peer| SocketAddr::try_from(peer).ok()));
                }
                Err(rustix::io::Errno::AGAIN) => return,
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(error) => {
                    warn!(worker = self.index, %error, "cannot accept a connection");
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, socket: OwnedFd, peer: Option<SocketAddr>) {
        if self.totals.sessions.fetch_add(1, Ordering::Relaxed) >= self.maxclients {
            self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
            self.stats.sessions_rejected.increment();
            let mut refusal = Vec::new();
            proxy_core::errors::write(&mut refusal, proxy_core::errors::MAX_CLIENTS);
            let _ = rustix::net::send(&socket, &refusal, rustix::net::SendFlags::NOSIGNAL);
            return;
        }
        let local = getsockname(&socket).ok().and_then(|name| SocketAddr::try_from(name).ok());
        let client = self.totals.last_client_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (peer, local) = (peer.unwrap_or(self.address), local.unwrap_or(self.address));
        let mut profile = Profile::new(client, peer, local, self.now.unix_us / 1000);
        profile.authenticated = self.authenticated;
        let id = self.engine.accept(profile);
        if let Err(error) = register(&self.epoll, &socket, Source::Session(id).number()) {
            warn!(worker = self.index, %error, "cannot watch a connection");
            self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
            return self.engine.session_closed(id);
        }
        self.stats.sessions.increment();
        self.stats.sessions_accepted.increment();
        if self.sessions.len() <= id.index() {
            self.sessions.resize_with(id.index() + 1, || None);
        }
        self.sessions[id.index()] = Some(SessionSocket { id, socket, unread: false, ended: false });
    }
}
