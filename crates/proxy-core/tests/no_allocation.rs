//! In the steady state of the common case a request allocates nothing: GET and SET of small values, pipelined or not,
//! many sessions, one node, batches held or not.
#![expect(unsafe_code, reason = "an allocator that counts can be written in no other way")]
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{SetCluster, View};
use proxy_core::cluster_replies::ClusterReplies;
use proxy_core::command::CommandTable;
use proxy_core::engine::buffers::Chunk;
use proxy_core::engine::memory::MemoryBudget;
use proxy_core::engine::{
    Abandonments, Action, BackendId, Engine, EngineStart, Moment, NodeLives, Policy, SessionId, Shared,
    WriteFences,
};
use proxy_core::profile::Profile;
use proxy_core::route::{RouteTable, WorkerView};
use proxy_core::settings::Settings;
use proxy_core::stats::WorkerStats;

thread_local! {
    /// Allocations of this thread. Without a destructor, so that it can be counted in until the thread's end.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

// SAFETY: every call is handed on unchanged to the system's allocator, whose promises are thus kept; counting touches
// only a thread's own cell and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises on `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the pointer came from `System` by way of this allocator, with this layout.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` by way of this allocator, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// How clients behave.
#[derive(Debug, Clone, Copy)]
struct Load {
    sessions: usize,
    /// Requests that each sends at once.
    pipeline: usize,
    set: bool,
    value_bytes: usize,
}

/// A driver whose own buffers are all made beforehand.
struct Driver {
    engine: Engine,
    now: Moment,
    sessions: Vec<SessionId>,
    backend: BackendId,
    chunk: Chunk,
    flush_sessions: Vec<SessionId>,
    flush_backends: Vec<BackendId>,
    request: Vec<u8>,
    reply: Vec<u8>,
    /// Bytes of requests and of replies that have come out.
    requests_out: usize,
    replies_out: usize,
    /// Requests sent to the node and not answered, in bytes of requests.
    due: usize,
}

impl Driver {
    fn new(load: Load) -> Driver {
        let settings = Settings::new("127.0.0.1:5299".parse().unwrap());
        let now = Moment { us: 1_000_000, unix_us: 1_795_000_000_000_000 };
        let start = EngineStart {
            shared: shared(&settings),
            policy: Policy::default(),
            stats: Arc::new(WorkerStats::new()),
            memory: MemoryBudget::new(u64::MAX, 1).share(0),
            seed: 7,
        };
        let mut engine = Engine::new(start, now);
        let mut backend = None;
        for action in engine.take_actions() {
            if let Action::Connect(id, _) = action {
                engine.backend_connected(id, None);
                backend = Some(id);
            }
        }
        let end = "127.0.0.1:40000".parse().unwrap();
        let accept = |engine: &mut Engine, number| {
            let mut profile = Profile::new(number, end, end, 0);
            profile.authenticated = true;
            engine.accept(profile)
        };
        let sessions = (0..load.sessions).map(|number| accept(&mut engine, number as u64)).collect();
        let chunk = engine.pool().chunk(false);
        let value = vec![b'v'; load.value_bytes];
        let (mut request, mut reply) = (Vec::new(), Vec::new());
        if load.set {
            resp::encode::request(&mut request, &[b"SET", b"key:000001", &value]);
            resp::encode::simple(&mut reply, "OK");
        } else {
            resp::encode::request(&mut request, &[b"GET", b"key:000001"]);
            resp::encode::bulk(&mut reply, &value);
        }
        let (flush_sessions, flush_backends) =
            (Vec::with_capacity(load.sessions + 1), Vec::with_capacity(load.sessions + 1));
        let (requests_out, replies_out, due) = (0, 0, 0);
        Driver {
            engine,
            now,
            sessions,
            backend: backend.unwrap(),
            chunk,
            flush_sessions,
            flush_backends,
            request,
            reply,
            requests_out,
            replies_out,
            due,
        }
    }

    /// Writes what the engine wants written, and forgets it.
    fn end_turn(&mut self) {
        self.engine.end_turn(&mut self.flush_sessions, &mut self.flush_backends);
        for id in self.flush_backends.drain(..) {
            let bytes = self.engine.backend_output(id).len();
            self.engine.backend_sent(id, bytes);
            self.requests_out += bytes;
            self.due += bytes;
        }
        for id in self.flush_sessions.drain(..) {
            assert!(self.engine.must_look_before_delivery(), "as where coordinators grant leases");
            self.engine.look_before_delivery(self.now.us);
            let bytes = self.engine.session_output(id).len();
            self.engine.session_sent(id, bytes);
            self.replies_out += bytes;
        }
        assert!(self.engine.take_actions().is_empty(), "nothing is opened, closed or asked");
        self.now.us += 20;
        self.now.unix_us += 20;
        self.engine.begin_turn(self.now);
    }

    fn read(&mut self, pipeline: usize, session: usize) {
        let len = self.request.len() * pipeline;
        let pieces = self.chunk.space()[..len].chunks_exact_mut(self.request.len());
        pieces.for_each(|piece| piece.copy_from_slice(&self.request));
        self.engine.session_received(self.sessions[session], &self.chunk, len);
        if self.chunk.is_shared() {
            self.chunk = self.engine.pool().chunk(false);
        }
    }

    /// The node answers everything that it was sent.
    fn answer(&mut self) {
        while self.due > 0 {
            let whole = self.chunk.space().len() / self.reply.len();
            let replies = (self.due / self.request.len()).min(whole);
            let len = replies * self.reply.len();
            let pieces = self.chunk.space()[..len].chunks_exact_mut(self.reply.len());
            pieces.for_each(|piece| piece.copy_from_slice(&self.reply));
            self.due -= replies * self.request.len();
            self.engine.backend_received(self.backend, &self.chunk, len);
            if self.chunk.is_shared() {
                self.chunk = self.engine.pool().chunk(false);
            }
        }
    }

    /// Every session sends once and is answered, half of them while the others' batch is under way.
    fn round(&mut self, load: Load) {
        let half = load.sessions / 2;
        (0..half).for_each(|session| self.read(load.pipeline, session));
        self.end_turn();
        (half..load.sessions).for_each(|session| self.read(load.pipeline, session));
        self.end_turn();
        self.answer();
        self.end_turn();
        self.answer();
        self.end_turn();
    }
}

fn shared(settings: &Settings) -> Shared {
    let args = ["v2", "1", "NOFLAGS", "db", "127.0.0.1:7001", "1", "0-16383"].map(str::as_bytes);
    let view: View = SetCluster::parse(&args).unwrap().view;
    Shared {
        table: Arc::new(CommandTable::builtin()),
        backend_password: None,
        server_version: "7.0.15".into(),
        lives: NodeLives::default(),
        abandonments: Abandonments::default(),
        fences: WriteFences::new(vec![(
            "127.0.0.1:7001".parse().unwrap(),
            Arc::new(AtomicU64::new(u64::MAX - 1)),
        )]),
        view: Some(Arc::new(WorkerView {
            routes: RouteTable::new(&view, None),
            replies: Arc::new(ClusterReplies::new(&view, None, &settings.announce_address, settings)),
            hold_until_us: 0,
        })),
        settings: Arc::new(settings.clone()),
    }
}

#[test]
fn the_common_case_allocates_nothing() {
    const WARM_ROUNDS: usize = 1000;
    const ROUNDS: usize = 500;
    let check = |load: Load| {
        let mut driver = Driver::new(load);
        (0..WARM_ROUNDS).for_each(|_| driver.round(load));
        (driver.requests_out, driver.replies_out) = (0, 0);
        let before = allocations();
        (0..ROUNDS).for_each(|_| driver.round(load));
        let allocated = allocations() - before;
        let requests = ROUNDS * load.sessions * load.pipeline;
        assert_eq!(driver.requests_out, requests * driver.request.len(), "{load:?}");
        assert_eq!(driver.replies_out, requests * driver.reply.len(), "{load:?}");
        assert_eq!(allocated, 0, "{load:?}: of {requests} requests");
    };
    for set in [false, true] {
        // As much as one buffer holds: a turn that gathers more than 64 KiB puts full ones aside.
        for (sessions, pipeline, value_bytes) in [
            (1, 1, 3),
            (50, 1, 3),
            (50, 16, 3),
            (500, 1, 3),
            (1, 1, 100),
            (50, 1, 100),
            (10, 16, 100),
            (200, 1, 100),
        ] {
            check(Load { sessions, pipeline, set, value_bytes });
        }
    }
}

#[test]
fn allocations_are_counted() {
    let before = allocations();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(allocations() - before, 1);
}
