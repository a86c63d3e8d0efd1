//! A draft, only for measuring: SETCLUSTER and nothing else.
use std::sync::Arc;

use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::command::CommandTable;
use proxy_core::engine::{Policy, Question, Shared};
use proxy_core::routing::{RouteTable, WorkerView};
use proxy_core::settings::Settings;
use proxy_core::stats::WorkerStats;

use crate::RunError;
use crate::worker::{Totals, Worker, WorkerMessage, WorkerStart};

/// Serves.
pub fn run(config: &crate::config::ProxyConfig) -> Result<(), RunError> {
    let address: model::Address = config.address.to_string().parse().expect("an address");
    let settings = Arc::new(Settings::new(address.clone()));
    let mut policy = Policy::default();
    if config.batching == crate::config::Batching::Off {
        policy = policy.unbatched();
    }
    let env = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    if let Some(v) = env("X_HOLD_BYTES") {
        policy.hold_bytes_max = v as usize;
    }
    if let Some(v) = env("X_NAP") {
        policy.nap_us_max = v;
    }
    if let Some(v) = env("X_NAP_EVENTS") {
        policy.nap_reads_min = v as f32;
    }
    if let Some(v) = env("X_NAP_PERCENT") {
        policy.nap_fraction = v as f32 / 100.0;
    }
    if let Some(v) = env("X_HOLD_US") {
        policy.hold_us_max = v;
    }
    let mut shared = Shared {
        table: Arc::new(CommandTable::builtin()),
        settings: settings.clone(),
        backend_password: None,
        server_version: "7.0.15".into(),
        view: None,
    };
    let (control, mut asks) = tokio::sync::mpsc::unbounded_channel();
    let totals = Arc::new(Totals::default());
    let workers: Vec<Worker> = (0..config.thread_number.get() as usize)
        .map(|index| {
            Worker::start(WorkerStart {
                index,
                address: config.address,
                shared: shared.clone(),
                policy,
                stats: Arc::new(WorkerStats::new()),
                totals: totals.clone(),
                control: control.clone(),
            })
        })
        .collect::<Result<_, _>>()?;
    while let Some(message) = asks.blocking_recv() {
        let mut reply = b"-ERR draft\r\n".to_vec();
        if let Question::Umctl(args) = &message.ask.question {
            let words: Vec<&[u8]> = args.iter().skip(2).map(Vec::as_slice).collect();
            match model::SetCluster::parse(&words) {
                Ok(set) => {
                    let routes = RouteTable::new(&set.view, None);
                    let replies = ClusterReplies::new(&set.view, None, &address, &settings);
                    shared.view = Some(Arc::new(WorkerView { routes, replies: Arc::new(replies) }));
                    for worker in &workers {
                        let (done, wait) = tokio::sync::oneshot::channel();
                        worker.mailbox.send(WorkerMessage::Update(shared.clone(), done));
                        let _ = wait.blocking_recv();
                    }
                    reply = b"+OK\r\n".to_vec();
                }
                Err(error) => reply = format!("-ERR {error}\r\n").into_bytes(),
            }
        }
        workers[message.worker].mailbox.send(WorkerMessage::Reply(message.ask.place, reply));
    }
    Ok(())
}
