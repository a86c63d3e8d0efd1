//! Where etcd is, who we are to it, and how to know that it is etcd.

use std::time::Duration;

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an idle connection is probed, and how long the answer may take.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(3));

/// Where etcd is and how to use it.
#[derive(Clone, Default)]
pub struct EtcdOptions {
    /// `http://host:port` or `https://host:port` of each of its servers; at least one.
    pub endpoints: Vec<String>,
    /// What all keys begin with.
    pub prefix: String,
    /// User and password, where etcd asks for them.
    pub user: Option<(String, String)>,
    /// The certificate, in PEM, of the authority that signed those of the servers; the system's when not set.
    pub authority_pem: Option<Vec<u8>>,
    /// Our own certificate and its key, in PEM, where etcd asks for one.
    pub identity_pem: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for EtcdOptions {
    /// Says nothing of passwords and keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoints, prefix, .. } = self;
        f.debug_struct("EtcdOptions")
            .field("endpoints", endpoints)
            .field("prefix", prefix)
            .finish_non_exhaustive()
    }
}

impl EtcdOptions {
    /// How to connect; without a limit on the time of a request, because a watch stays open.
    pub(super) fn connect(&self) -> ConnectOptions {
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_keep_alive(KEEP_ALIVE.0, KEEP_ALIVE.1)
            .with_keep_alive_while_idle(true);
        if let Some((user, password)) = &self.user {
            // etcd forgets the tokens that it gave when it restarts, and those that were idle for some minutes.
            connect = connect.with_user(user, password).with_auto_token_refresh(true);
        }
        if self.endpoints.iter().any(|endpoint| endpoint.starts_with("https://")) {
            connect = connect.with_tls(self.tls());
        }
        connect
    }

    fn tls(&self) -> TlsOptions {
        let tls = match &self.authority_pem {
            Some(pem) => TlsOptions::new().ca_certificate(Certificate::from_pem(pem)),
            None => TlsOptions::new().with_native_roots(),
        };
        match &self.identity_pem {
            Some((certificate, key)) => tls.identity(Identity::from_pem(certificate, key)),
            None => tls,
        }
    }
}
