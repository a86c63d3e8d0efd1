//! A real etcd that speaks TLS only, asks its clients for certificates, and for user and password.

use std::path::PathBuf;
use std::process::Command;

use control::broker::open_metadata;
use control::config::{BrokerConfig, Text};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, Permission, PermissionType, TlsOptions};
use serde_json::{Value, json};
use service::config::Secret;
use tempfile::TempDir;

use super::fixture::{EtcdServer, TestBroker, eventually, on_etcd};

const USER: (&str, &str) = ("undermoon", "a long secret");
const PREFIX: &str = "/undermoon/";

/// An authority with a certificate for etcd and one for brokers, and an authority that signed nothing.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    fn make() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        made.sign("authority", &[]);
        made.sign("stranger", &[]);
        made.sign("etcd", &["-addext", "subjectAltName=IP:127.0.0.1"]);
        made.sign("broker", &[]);
        made
    }

    /// Makes `<name>.pem` and `<name>-key.pem`; all but authorities are signed by the authority.
    fn sign(&self, name: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={name}")])
            .args(["-keyout", &self.path(&format!("{name}-key.pem"))])
            .args(["-out", &self.path(&format!("{name}.pem"))])
            .args(more);
        if !matches!(name, "authority" | "stranger") {
            command
                .args(["-CA", &self.path("authority.pem"), "-CAkey", &self.path("authority-key.pem")])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-addext", "extendedKeyUsage=serverAuth,clientAuth"]);
        }
        let output = command.output().expect("openssl is needed for this test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).to_string_lossy().into_owned()
    }

    fn text(&self, file: &str) -> Option<Text> {
        Some(Text(self.path(file)))
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(PathBuf::from(self.path(file))).unwrap()
    }

    async fn etcd(&self) -> EtcdServer {
        let flags = [
            ("--cert-file", "etcd.pem"),
            ("--key-file", "etcd-key.pem"),
            ("--trusted-ca-file", "authority.pem"),
        ];
        let mut arguments = vec!["--client-cert-auth".to_owned()];
        for (flag, file) in flags {
            arguments.extend([flag.to_owned(), self.path(file)]);
        }
        EtcdServer::start_secure(arguments).await
    }

    fn client(&self) -> ConnectOptions {
        let identity = Identity::from_pem(self.read("broker.pem"), self.read("broker-key.pem"));
        let authority = Certificate::from_pem(self.read("authority.pem"));
        ConnectOptions::new().with_tls(TlsOptions::new().ca_certificate(authority).identity(identity))
    }

    /// Settings that are right.
    fn broker(&self, etcd: &EtcdServer) -> BrokerConfig {
        BrokerConfig {
            etcd_user: Some(Text(USER.0.to_owned())),
            etcd_password: Some(Secret::new(USER.1)),
            etcd_authority: self.text("authority.pem"),
            etcd_certificate: self.text("broker.pem"),
            etcd_key: self.text("broker-key.pem"),
            ..on_etcd(etcd)
        }
    }
}

/// Makes a user that may use the broker's keys and no others, and asks for users from then on.
async fn ask_for_users(etcd: &EtcdServer, options: ConnectOptions) {
    let mut client = Client::connect([&etcd.url], Some(options)).await.unwrap();
    client.user_add("root", "root's secret", None).await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.role_add("brokers").await.unwrap();
    let keys = Permission::new(PermissionType::Readwrite, PREFIX).with_prefix();
    client.role_grant_permission("brokers", keys).await.unwrap();
    client.user_add(USER.0, USER.1, None).await.unwrap();
    client.user_grant_role(USER.0, "brokers").await.unwrap();
    client.auth_enable().await.unwrap();
}

fn proxy(number: u16) -> Value {
    let at = |place: u16| format!("127.0.0.1:{}", number + place);
    json!({"proxy_address": at(0), "nodes": [at(20_000), at(40_000)]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_certificates_users_and_passwords() {
    let certificates = Certificates::make();
    let mut etcd = certificates.etcd().await;
    ask_for_users(&etcd, certificates.client()).await;
    let right = certificates.broker(&etcd);
    let wrong = [
        (
            "an authority that did not sign",
            BrokerConfig { etcd_authority: certificates.text("stranger.pem"), ..right.clone() },
        ),
        ("the system's authorities", BrokerConfig { etcd_authority: None, ..right.clone() }),
        ("no certificate", BrokerConfig { etcd_certificate: None, etcd_key: None, ..right.clone() }),
        ("a wrong password", BrokerConfig { etcd_password: Some(Secret::new("x")), ..right.clone() }),
        ("no user", BrokerConfig { etcd_user: None, etcd_password: None, ..right.clone() }),
        (
            "a file that is not there",
            BrokerConfig { etcd_key: certificates.text("none.pem"), ..right.clone() },
        ),
    ];
    for (what, config) in wrong {
        let error = open_metadata(&config).await.expect_err(what).to_string();
        assert!(!error.contains(USER.1), "{what}: {error}");
    }

    let brokers = [TestBroker::start(&right).await, TestBroker::start(&right).await];
    brokers[0].act("POST", "/api/v3/proxies/meta", proxy(1)).await;
    let seen = async |count: usize| {
        eventually("the change at the other broker", || async {
            let found = brokers[1].get("/api/v3/proxies/addresses").await;
            (found["addresses"].as_array().unwrap().len() == count).then_some(())
        })
        .await;
    };
    seen(1).await;
    // A restart makes etcd forget the tokens that it gave for user and password.
    etcd.kill();
    etcd.run().await;
    eventually("a change after the restart", || async {
        let (status, answer) = brokers[0].call("POST", "/api/v3/proxies/meta", proxy(2)).await;
        assert!(status == 200 || status >= 500 || answer["error"] == "ALREADY_EXISTED", "{status} {answer}");
        (status < 500).then_some(())
    })
    .await;
    seen(2).await;
    for broker in brokers {
        broker.stop().await;
    }
}
