//! The settings of a broker.
//!
//! Names and defaults that Undermoon has always had stay as they are; newer ones carry their unit in their name.
//! Each field's documentation is also the text of `undermoon broker --help` and of docs/configuration.md.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use service::config::{BadValue, Bytes, Configuration, Count, Milliseconds, Secret, Setting, TomlValue};
use service::logging::{LogFormat, LogLevel};

/// The port of a broker, unless configured otherwise.
pub const DEFAULT_PORT: u16 = 7799;

/// A day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

service::choice! {
    /// Where the metadata is kept.
    pub enum StoreKind {
        /// In one file on this machine, for one broker.
        Embedded = "embedded",
        /// In etcd, for any number of brokers.
        Etcd = "etcd",
    }
}

service::choice! {
    /// What happens to a primary that came back with less than its replica may have.
    pub enum RestartedPrimaryPolicy {
        /// An operator decides, unless the primary has nothing and the replica is seen to have data.
        Wait = "wait",
        /// It serves with what it has.
        Serve = "serve",
    }
}

impl RestartedPrimaryPolicy {
    /// What it is in the metadata.
    #[must_use]
    pub const fn setting(self) -> control_core::RestartedPrimary {
        match self {
            Self::Wait => control_core::RestartedPrimary::Waits,
            Self::Serve => control_core::RestartedPrimary::Serves,
        }
    }
}

service::choice! {
    /// What is done when the metadata may be older than what the proxies know.
    pub enum ReviewPolicy {
        /// Clusters are taken over as they are served, where nothing speaks against it.
        Adopt = "adopt",
        /// An operator decides.
        Ask = "ask",
    }
}

/// A text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Setting for Text {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        if text.trim().is_empty() {
            return Err(BadValue::new("empty"));
        }
        Ok(Self(text.trim().to_owned()))
    }

    fn accepts() -> String {
        "a text".to_owned()
    }

    fn shown(&self) -> Option<TomlValue> {
        Some(TomlValue::String(self.0.clone()))
    }
}

/// A broker, as `host:port` or with `http://` or `https://` before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress(pub String);

impl Setting for BrokerAddress {
    fn from_text(text: &str) -> Result<Self, BadValue> {
        text.parse::<api::Endpoint>().map_err(|error| BadValue::new(error.to_string()))?;
        Ok(Self(text.trim().to_owned()))
    }

    fn accepts() -> String {
        "host:port, http://host:port or https://host:port".to_owned()
    }

    fn shown(&self) -> Option<TomlValue> {
        Some(TomlValue::String(self.0.clone()))
    }
}

service::settings! {
    /// Everything that can be set for a broker.
    pub struct BrokerConfig {
        /// The IP address and port on which the broker answers HTTP.
        pub address: SocketAddr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
        /// Where the metadata is kept: embedded is one file for one broker, etcd is for any number of brokers.
        pub store: StoreKind = StoreKind::Embedded,
        /// The file of the embedded store.
        pub meta_filename: Text = Text("undermoon-metadata.redb".to_owned()),
        /// The etcd servers.
        pub etcd_endpoints: Vec<BrokerAddress> = Vec::new(),
        /// What all keys in etcd begin with. Brokers that share their metadata need the same prefix.
        pub etcd_prefix: Text = Text("/undermoon/".to_owned()),
        /// The user name for etcd. When not set, the broker gives etcd no user name.
        pub etcd_user: Option<Text> = None,
        /// The password for etcd.
        pub etcd_password: Option<Secret> = None,
        /// A PEM file with the certificate of the authority that signed the etcd servers' certificates, for https
        /// endpoints. When not set, the system's authorities are trusted.
        pub etcd_authority: Option<Text> = None,
        /// A PEM file with this broker's own certificate for etcd, where etcd asks its clients for one.
        pub etcd_certificate: Option<Text> = None,
        /// A PEM file with the private key of `etcd_certificate`.
        pub etcd_key: Option<Text> = None,
        /// How long a failure report counts, in seconds. When not set, the metadata's value stays, at first 60.
        pub failure_ttl: Option<Count<1, 86_400>> = None,
        /// How many reporters make a failure. When not set, the metadata's value stays, at first 1.
        pub failure_quorum: Option<Count<1, 1000>> = None,
        /// How many migrations one proxy takes part in at a time; 0 is no limit. When not set, the metadata's value
        /// stays, at first 2.
        pub migration_limit: Option<Count<0, 1000>> = None,
        /// What happens to a primary that restarted and has fewer keys than its replica may have. With wait, a replica
        /// that has data takes over from a primary that is empty, and in all other cases an operator decides. With
        /// serve, the primary serves with what it has. When not set, the metadata's value stays, at first wait.
        pub restarted_primary: Option<RestartedPrimaryPolicy> = None,
        /// For a Kubernetes StatefulSet: proxies form chunks by their index, failover only changes roles, and there is
        /// one cluster. When not set, the metadata's value stays, at first false.
        pub enable_ordered_proxy: Option<bool> = None,
        /// Other brokers, each with a store of its own, which get a copy of the metadata after each change. When empty,
        /// the list that was last set with PUT /api/v3/config stays.
        pub replica_addresses: Vec<BrokerAddress> = Vec::new(),
        /// The bearer token that callers must give for changes. When not set, anybody who can connect can change
        /// everything.
        pub write_token: Option<Secret> = None,
        /// The bearer token for the brokers of `replica_addresses`: their `write_token`. When not set, brokers named in
        /// these settings get `write_token`, and brokers set with PUT /api/v3/config get no token.
        pub replica_token: Option<Secret> = None,
        /// The bearer token that callers must give for reading, unless they give `write_token`. When not set, reading
        /// is open.
        pub read_token: Option<Secret> = None,
        /// A PEM file with the certificate chain for HTTPS. When not set, the broker speaks HTTP.
        pub tls_certificate: Option<Text> = None,
        /// A PEM file with the private key of `tls_certificate`.
        pub tls_key: Option<Text> = None,
        /// What happens when the metadata may be older than what the proxies know (a restore, an old file). With adopt,
        /// the broker takes over what the proxies serve, where nothing speaks against it. With ask, it waits for an
        /// operator.
        pub review_policy: ReviewPolicy = ReviewPolicy::Adopt,
        /// The `password` of the proxies, with which the broker asks them what they have. When not set, it asks without
        /// a password.
        pub proxy_password: Option<Secret> = None,
        /// The largest body of a request.
        pub body_bytes_max: Bytes<1024, 1_073_741_824> = Bytes::of(67_108_864),
        /// How many requests the broker answers at a time. As many more may wait for a change; the broker refuses
        /// further ones with BUSY.
        pub requests_max: Count<1, 100_000> = Count::of(1024),
        /// How long a request may take.
        pub request_timeout_ms: Milliseconds<1, DAY_MS> = Milliseconds::of(35_000),
        /// How long requests in flight may take to finish after the broker is told to stop.
        pub shutdown_timeout_ms: Milliseconds<0, DAY_MS> = Milliseconds::of(5000),
        /// The log level, or levels for some modules, as info,control=debug.
        pub log_level: LogLevel = LogLevel::info(),
        /// The form of log lines: human for people, json for programs.
        pub log_format: LogFormat = LogFormat::Human,
    }
}

impl Configuration for BrokerConfig {
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.address.port() == 0 {
            found.push(("address", "port 0 would be a different port at each start".to_owned()));
        }
        if self.store == StoreKind::Etcd && self.etcd_endpoints.is_empty() {
            found.push(("etcd_endpoints", "`store` is etcd, and no server of it is named".to_owned()));
        }
        if self.store == StoreKind::Embedded && !self.etcd_endpoints.is_empty() {
            found.push(("store", "`etcd_endpoints` are named, and the store is embedded".to_owned()));
        }
        if self.etcd_user.is_some() != self.etcd_password.is_some() {
            found.push(("etcd_password", "`etcd_user` and `etcd_password` go together".to_owned()));
        }
        if self.etcd_certificate.is_some() != self.etcd_key.is_some() {
            found.push(("etcd_key", "`etcd_certificate` and `etcd_key` go together".to_owned()));
        }
        let is_plain = |endpoint: &BrokerAddress| !endpoint.0.starts_with("https://");
        if let Some(plain) = self.etcd_endpoints.iter().find(|endpoint| is_plain(endpoint)) {
            if self.etcd_authority.is_some() || self.etcd_certificate.is_some() {
                let text = format!("certificates are set, and `{}` is not https", plain.0);
                found.push(("etcd_endpoints", text));
            } else if !self.etcd_endpoints.iter().all(is_plain) {
                let text = format!("some are https, and `{}` is not", plain.0);
                found.push(("etcd_endpoints", text));
            }
        }
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            found.push(("tls_key", "`tls_certificate` and `tls_key` go together".to_owned()));
        }
        if self.read_token.is_some() && self.write_token.is_none() {
            found.push(("write_token", "reading needs a token, and changing would not".to_owned()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use service::config::load;

    use super::BrokerConfig;

    #[test]
    fn contradictions() {
        fn check(environment: &[(&str, &str)], expected: &str) {
            let variables = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let found = load::<BrokerConfig>(None, variables).err().map(|error| error.to_string());
            let found = found.unwrap_or_default();
            assert!(
                if expected.is_empty() { found.is_empty() } else { found.contains(expected) },
                "{environment:?}: {found}"
            );
        }
        check(&[], "");
        check(&[("UNDERMOON_STORE", "etcd")], "etcd_endpoints");
        check(&[("UNDERMOON_STORE", "etcd"), ("UNDERMOON_ETCD_ENDPOINTS", "http://127.0.0.1:2379")], "");
        check(&[("UNDERMOON_ETCD_ENDPOINTS", "http://127.0.0.1:2379")], "store");
        let etcd = |endpoints, more: &[(&'static str, &'static str)]| {
            [&[("UNDERMOON_STORE", "etcd"), ("UNDERMOON_ETCD_ENDPOINTS", endpoints)], more].concat()
        };
        check(&etcd("https://h:1,https://h:2", &[("UNDERMOON_ETCD_AUTHORITY", "a.pem")]), "");
        check(&etcd("https://h:1,http://h:2", &[]), "https");
        check(&etcd("h:1", &[("UNDERMOON_ETCD_AUTHORITY", "a.pem")]), "not https");
        check(&etcd("https://h:1", &[("UNDERMOON_ETCD_KEY", "k.pem")]), "etcd_certificate");
        check(&[("UNDERMOON_STORE", "memory")], "embedded");
        check(&[("UNDERMOON_TLS_KEY", "k.pem")], "tls_certificate");
        check(&[("UNDERMOON_READ_TOKEN", "r")], "write_token");
        check(&[("UNDERMOON_ADDRESS", "127.0.0.1:0")], "address");
        check(&[("UNDERMOON_META_FILENAME", " ")], "meta_filename");
        check(&[("UNDERMOON_REPLICA_ADDRESSES", "ftp://x")], "replica_addresses");
    }
}
