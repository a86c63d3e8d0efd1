//! Starting brokers and etcd on free ports, in folders of their own, and stopping them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use control::broker::{open_metadata, serve};
use control::config::{BrokerAddress, BrokerConfig, StoreKind, Text};
use control::store::Embedded;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use service::shutdown::{Phase, Shutdown};
use tempfile::TempDir;
use tokio::task::JoinHandle;

const START_DEADLINE: Duration = Duration::from_secs(30);

/// A broker in this process.
pub(crate) struct TestBroker {
    pub(crate) url: String,
    http: reqwest::Client,
    token: Option<String>,
    file: Option<PathBuf>,
    shutdown: Shutdown,
    served: JoinHandle<()>,
}

/// The metadata without the marks of a review: what is restored is under review.
pub(crate) fn without_review(mut dump: Value) -> Value {
    for table in ["clusters", "proxies"] {
        for row in dump[table].as_object_mut().unwrap().values_mut() {
            let row = row.as_object_mut().unwrap();
            row.remove("review");
            // Whom a dump names is no stranger where it is restored.
            row.remove("is_new");
        }
    }
    dump
}

/// Settings with the embedded store in a folder.
pub(crate) fn embedded(folder: &TempDir) -> BrokerConfig {
    let path = folder.path().join("metadata.redb");
    BrokerConfig { meta_filename: Text(path.to_string_lossy().into_owned()), ..BrokerConfig::default() }
}

/// Settings with a store in etcd.
pub(crate) fn on_etcd(etcd: &EtcdServer) -> BrokerConfig {
    BrokerConfig {
        store: StoreKind::Etcd,
        etcd_endpoints: vec![BrokerAddress(etcd.url.clone())],
        ..BrokerConfig::default()
    }
}

impl TestBroker {
    /// Starts one; it answers when this returns.
    pub(crate) async fn start(config: &BrokerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let scheme = if config.tls_key.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let metadata = open_metadata(config).await.unwrap();
        let file = (config.store == StoreKind::Embedded).then(|| PathBuf::from(&config.meta_filename.0));
        let shutdown = Shutdown::new();
        let (config, ending) = (config.clone(), shutdown.clone());
        let served = tokio::spawn(async move { serve(&config, metadata, listener, ending).await.unwrap() });
        api::tls::prepare();
        Self { url, http: reqwest::Client::new(), token: None, file, shutdown, served }
    }

    /// With this token from now on.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// One call: its status, and its body as JSON or, where it is none, as a text.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method: Method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status.as_u16(), body)
    }

    /// One call with any bytes for its body: its status, and what was answered.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, String) {
        let method: Method = method.parse().unwrap();
        let response =
            self.http.request(method, format!("{}{path}", self.url)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Reads the metadata as a coordinator, which says this with its reading.
    pub(crate) async fn read_saying(&self, said: Option<&str>) -> Value {
        let mut request = self.http.get(format!("{}/api/v4/state", self.url));
        if let Some(said) = said {
            request = request.header(api::READING_HEADER, said);
        }
        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
    }

    /// A GET that succeeds.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "GET {path}: {body}");
        body
    }

    /// A call that succeeds.
    pub(crate) async fn act(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {answer}");
        answer
    }

    /// Registers that many proxies, one on each host.
    pub(crate) async fn register(&self, count: u16) {
        for host in 1..=count {
            let body = serde_json::json!({
                "proxy_address": format!("127.0.3.{host}:5299"),
                "nodes": [format!("127.0.3.{host}:6379"), format!("127.0.3.{host}:6380")],
            });
            self.act("POST", "/api/v3/proxies/meta", body).await;
        }
    }

    /// Stops it; its store is closed when this returns.
    pub(crate) async fn stop(self) {
        drop(self.http);
        self.shutdown.advance(Phase::Stopping);
        self.served.await.unwrap();
        // The ledger ends soon after the last handle is gone, and closes the file then.
        if let Some(path) = self.file {
            eventually("a closed file", async || Embedded::open(&path).ok().map(drop)).await;
        }
    }
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real etcd.
pub(crate) struct EtcdServer {
    pub(crate) url: String,
    health_url: String,
    peer_port: u16,
    /// What it is started with beside the usual.
    arguments: Vec<String>,
    folder: TempDir,
    process: Option<Running>,
}

impl EtcdServer {
    /// Starts one, in a folder of its own.
    pub(crate) async fn start() -> Self {
        Self::start_as("http", Vec::new()).await
    }

    /// Starts one that is reached by https only, with these arguments that say how.
    pub(crate) async fn start_secure(arguments: Vec<String>) -> Self {
        Self::start_as("https", arguments).await
    }

    async fn start_as(scheme: &str, mut arguments: Vec<String>) -> Self {
        let [client_port, peer_port, metrics_port] = free_ports();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{scheme}://127.0.0.1:{client_port}");
        let metrics_url = format!("http://127.0.0.1:{metrics_port}");
        let health_url = format!("{metrics_url}/health");
        arguments.extend(["--listen-metrics-urls".to_owned(), metrics_url]);
        let mut server = Self { url, health_url, peer_port, arguments, folder, process: None };
        server.run().await;
        server
    }

    /// Starts the process, and waits until it answers.
    pub(crate) async fn run(&mut self) {
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let process = Command::new("etcd")
            .args(["--data-dir".as_ref(), self.folder.path().join("data").as_os_str()])
            .args(["--listen-client-urls", &self.url, "--advertise-client-urls", &self.url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"])
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is needed: Debian's package etcd-server");
        self.process = Some(Running(process));
        api::tls::prepare();
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let answer = reqwest::get(&self.health_url).await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            assert!(Instant::now() < deadline, "etcd at {} did not start", self.url);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The processor time that it has used.
    pub(crate) fn processor_time(&self) -> Duration {
        let process = self.process.as_ref().unwrap().0.id();
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        // Fields 14 and 15, the first after the name is field 3, in hundredths of a second (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks = |place: usize| fields[place].parse::<u64>().unwrap();
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// Makes a copy of its data. To be called while it does not run, as all that follows.
    pub(crate) fn save(&self) {
        copy_folder(&self.folder.path().join("data"), &self.folder.path().join("copy"));
    }

    /// Puts the copy in the place of its data.
    pub(crate) fn put_back(&self) {
        self.wipe();
        copy_folder(&self.folder.path().join("copy"), &self.folder.path().join("data"));
    }

    /// Removes its data.
    pub(crate) fn wipe(&self) {
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
    }

    /// From the next start on it listens somewhere else; where it did before.
    pub(crate) fn move_away(&mut self) -> String {
        let [port] = free_ports();
        std::mem::replace(&mut self.url, format!("http://127.0.0.1:{port}"))
    }

    /// From the next start on it listens there.
    pub(crate) fn move_to(&mut self, url: String) {
        self.url = url;
    }

    /// Kills the process; its data stay.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// How long or how large a test is, where the environment says.
pub(crate) fn number_from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Ports that nobody listens on at the moment.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Waits until the condition gives something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
