//! Two ledgers on one store that loses requests, loses answers, delivers late and fails: whatever it does, each
//! change is made once, and a caller that is told that it was made finds it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control_core::{Command, NewProxy, Reply};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::store::{
    Base, ChangeError, HeadMark, HeadReader, Loaded, Metadata, PartKey, Parts, Store, StoreError, Update,
};

/// How many changes each ledger makes.
const CHANGES: u16 = 120;

/// What all ledgers write to, with what is still on its way.
struct Shared {
    revision: i64,
    head: HeadMark,
    parts: BTreeMap<PartKey, (i64, Vec<u8>)>,
    late: Vec<(Base, Parts)>,
    random: StdRng,
    /// Counts what was done wrong to the ledgers, to see that something was.
    faults: usize,
}

impl Shared {
    fn write(&mut self, base: Base, parts: &Parts) -> Result<Base, StoreError> {
        if base.head != self.head {
            return Err(StoreError::Conflict);
        }
        self.revision += 1;
        self.head = HeadMark { revision: self.revision, checksum: 0 };
        for (key, bytes) in parts {
            self.parts.insert(key.clone(), (self.revision, bytes.clone()));
        }
        Ok(Base { read: self.revision, head: self.head })
    }

    /// Delivers what is late, perhaps.
    fn deliver(&mut self) {
        while !self.late.is_empty() && self.random.random_bool(0.5) {
            let (base, parts) = self.late.remove(0);
            let _ = self.write(base, &parts);
        }
    }
}

struct Faulty {
    shared: Arc<Mutex<Shared>>,
    hints: watch::Sender<u64>,
}

impl Store for Faulty {
    const NAME: &'static str = "faulty";
    const IS_SHARED: bool = true;

    async fn load(&mut self) -> Result<Loaded, StoreError> {
        self.newer(Base::default()).await
    }

    async fn newer(&mut self, base: Base) -> Result<Loaded, StoreError> {
        tokio::task::yield_now().await;
        let mut shared = self.shared.lock().unwrap();
        shared.deliver();
        if base != Base::default() && shared.random.random_bool(0.1) {
            shared.faults += 1;
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let newer = shared.parts.iter().filter(|(_, (revision, _))| *revision > base.read);
        let parts = newer.map(|(key, (_, bytes))| (key.clone(), bytes.clone())).collect();
        Ok(Loaded { parts, events: Vec::new(), base: Base { read: shared.revision, head: shared.head } })
    }

    async fn commit(&mut self, base: Base, update: &Update) -> Result<Base, StoreError> {
        tokio::task::yield_now().await;
        let mut shared = self.shared.lock().unwrap();
        shared.deliver();
        let lost = || StoreError::Unknown("lost".to_owned());
        match shared.random.random_range(0..10) {
            0 => {
                shared.faults += 1;
                Err(lost())
            }
            1 => {
                shared.faults += 1;
                shared.late.push((base, update.parts.clone()));
                Err(lost())
            }
            2 => {
                shared.faults += 1;
                let _ = shared.write(base, &update.parts);
                Err(lost())
            }
            _ => shared.write(base, &update.parts),
        }
    }

    async fn check_writing(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn head_reader(&self) -> Option<HeadReader> {
        None
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.hints.subscribe()
    }
}

fn register(ledger: u16, number: u16) -> Command {
    let address = |port: u16| format!("10.{ledger}.0.{number}:{port}").parse().unwrap();
    let nodes = vec![address(1), address(2)];
    Command::RegisterProxy(NewProxy { address: address(5299), nodes, host: None, index: None })
}

#[tokio::test]
async fn each_change_is_made_once() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let (parts, late, random) = (BTreeMap::new(), Vec::new(), StdRng::seed_from_u64(seed));
    let shared = Arc::new(Mutex::new(Shared {
        revision: 0,
        head: HeadMark::default(),
        parts,
        late,
        random,
        faults: 0,
    }));
    let mut writers = Vec::new();
    for ledger in 0..2 {
        let store = Faulty { shared: Arc::clone(&shared), hints: watch::Sender::new(0) };
        let metadata = Metadata::open(store).await.unwrap();
        writers.push(tokio::spawn(async move {
            let mut uncertain = 0;
            for number in 0..CHANGES {
                match metadata.change(register(ledger, number)).await {
                    // Nobody else registers it: AlreadyExisted would mean that it was made twice.
                    Ok(reply) => assert_eq!(reply, Reply::Done, "seed {seed}: {ledger} {number}"),
                    Err(ChangeError::Unknown(_)) => uncertain += 1,
                    Err(error) => panic!("seed {seed}: {ledger} {number}: {error}"),
                }
            }
            uncertain
        }));
    }
    let mut uncertain = 0;
    for writer in writers {
        uncertain += writer.await.unwrap();
    }
    let store = Faulty { shared: Arc::clone(&shared), hints: watch::Sender::new(0) };
    let found = Metadata::open(store).await.unwrap().snapshot();
    let made = found.state.proxies.len();
    assert!(
        made + uncertain >= usize::from(CHANGES) * 2,
        "seed {seed}: {made} are there, {uncertain} uncertain"
    );
    assert_eq!(found.state.global_epoch.0, made as u64, "seed {seed}: one epoch for each");
    assert!(shared.lock().unwrap().faults > 20, "seed {seed}: too little went wrong to prove anything");
}

/// A store that takes long to write, as a disk does that is busy.
struct Slow<const SHARED: bool> {
    head: Arc<AtomicI64>,
    hints: watch::Sender<u64>,
}

/// How long it takes, and how much less a confirmation takes.
const WRITING: Duration = Duration::from_secs(2);
const AT_ONCE: Duration = Duration::from_secs(1);

impl<const SHARED: bool> Store for Slow<SHARED> {
    const NAME: &'static str = "slow";
    const IS_SHARED: bool = SHARED;

    async fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded::default())
    }

    async fn newer(&mut self, base: Base) -> Result<Loaded, StoreError> {
        Ok(Loaded { base, ..Loaded::default() })
    }

    async fn commit(&mut self, base: Base, _: &Update) -> Result<Base, StoreError> {
        tokio::time::sleep(WRITING).await;
        let head = HeadMark { revision: base.head.revision + 1, checksum: 0 };
        self.head.store(head.revision, Ordering::SeqCst);
        Ok(Base { read: base.read + 1, head })
    }

    async fn check_writing(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn head_reader(&self) -> Option<HeadReader> {
        let head = Arc::clone(&self.head);
        let reader: HeadReader = Arc::new(move || {
            let head = head.load(Ordering::SeqCst);
            Box::pin(async move { Ok(HeadMark { revision: head, checksum: 0 }) })
        });
        SHARED.then_some(reader)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.hints.subscribe()
    }
}

async fn check_confirmed_while_writing<const SHARED: bool>() {
    let store = Slow::<SHARED> { head: Arc::default(), hints: watch::Sender::new(0) };
    let metadata = Metadata::open(store).await.unwrap();
    let writer = metadata.clone();
    let begun = Instant::now();
    let writing = tokio::spawn(async move { writer.change(register(0, 1)).await });
    tokio::task::yield_now().await;
    // Leases rest on this, and last for less than a busy disk may take.
    let before = metadata.confirmed().await.unwrap();
    assert!(begun.elapsed() < AT_ONCE, "{SHARED}: it has waited for what is being written");
    assert_eq!(before.state.proxies.len(), 0);
    writing.await.unwrap().unwrap();
    // What somebody was told is done is known.
    assert_eq!(metadata.confirmed().await.unwrap().state.proxies.len(), 1, "{SHARED}");
}

#[tokio::test]
async fn what_is_being_written_keeps_nobody_from_knowing_what_is_so() {
    check_confirmed_while_writing::<true>().await;
    check_confirmed_while_writing::<false>().await;
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_made() {
    let store = Slow::<true> { head: Arc::default(), hints: watch::Sender::new(0) };
    let metadata = Metadata::open(store).await.unwrap();
    let change = |number: u16| {
        let metadata = metadata.clone();
        tokio::spawn(async move { metadata.change(register(0, number)).await })
    };
    let others_run = async || {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    };
    let first = change(1);
    others_run().await;
    // These wait while the first is being written. Whoever asked for the second gives up.
    let (second, third) = (change(2), change(3));
    others_run().await;
    second.abort();
    first.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
    let proxies = &metadata.snapshot().state.proxies;
    let known: Vec<String> = proxies.keys().map(ToString::to_string).collect();
    assert_eq!(proxies.len(), 2, "{known:?}");
}

#[tokio::test]
async fn what_was_asked_before_the_process_stood_still_is_not_made() {
    let store = Slow::<true> { head: Arc::default(), hints: watch::Sender::new(0) };
    let metadata = Metadata::open(store).await.unwrap();
    let stalls = crate::stalls::Stalls::default();
    let now = crate::stalls::now();
    let asked = stalls.ask(now, now).unwrap();
    // A look from the future: the process has stood still until then.
    stalls.look(now.plus(Duration::from_secs(20)));
    let refused = metadata.change_asked(register(0, 1), None, Some(asked)).await;
    assert!(matches!(refused, Err(ChangeError::Refused(_))), "{refused:?}");
    assert!(metadata.snapshot().state.proxies.is_empty());
}
