//! kill -9 of a process that writes to the embedded store: nothing that was answered is lost.
//!
//! The child is this test program itself, running [`child_that_writes`]; it prints each change once the store has
//! answered it. BROKER_KILLS sets how often it is killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control::store::{Embedded, Metadata};
use control_core::{Command as Change, State};
use model::Epoch;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::fixture::{Running, number_from_environment};

const KILLS_DEFAULT: usize = 20;
const FILE_VARIABLE: &str = "BROKER_CRASH_FILE";
/// The child writes for so long at least after its first answer before it is killed, and at most.
const LIFE_MS: std::ops::Range<u64> = 0..40;

/// Writes until it is killed; a test only by name.
#[tokio::test]
async fn child_that_writes() {
    let Ok(path) = std::env::var(FILE_VARIABLE) else { return };
    let metadata = Metadata::open(Embedded::open(Path::new(&path)).unwrap()).await.unwrap();
    loop {
        let next = metadata.snapshot().state.global_epoch.next();
        metadata.change(Change::RaiseEpoch { epoch: next }).await.unwrap();
        println!("answered {}", next.0);
    }
}

#[test]
fn nothing_answered_is_lost() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let mut answered = 0;
    let mut found = 0;
    for kill in 0..number_from_environment("BROKER_KILLS", KILLS_DEFAULT) {
        let last = run_and_kill(&path, Duration::from_millis(random.random_range(LIFE_MS)));
        assert!(last > found, "kill {kill}: nothing was written");
        answered = last;
        let state = read(&path);
        state.check().unwrap_or_else(|fault| panic!("kill {kill}: {fault}"));
        found = state.global_epoch.0;
        // One more may have been made whose answer was not read.
        assert!(
            (answered..=answered + 1).contains(&found),
            "kill {kill}, seed {seed}: {answered} was answered, the store has {found}"
        );
    }
    assert!(answered > 0);
}

/// Runs the child until its first answer and so long after it; gives back its last answer.
fn run_and_kill(path: &Path, life: Duration) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_writes", "--nocapture"])
        .env(FILE_VARIABLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let pipe = child.0.stdout.take().unwrap();
    let (first_seen, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            // The harness writes its own words before the first answer, on the same line.
            if let Some((_, number)) = line.split_once("answered ") {
                last = number.parse().unwrap_or(last);
                let _ = first_seen.send(());
            }
        }
        last
    });
    first.recv_timeout(Duration::from_secs(30)).expect("the child answers");
    let until = Instant::now() + life;
    while Instant::now() < until {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    reader.join().unwrap()
}

fn read(path: &Path) -> State {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let state = runtime.block_on(async {
        let metadata = Metadata::open(Embedded::open(path).unwrap()).await.unwrap();
        metadata.snapshot().state.clone()
    });
    // Dropping the runtime ends the ledger, which closes the file.
    drop(runtime);
    state
}

#[test]
fn the_file_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let first = Embedded::open(&path).unwrap();
    let error = Embedded::open(&path).unwrap_err().to_string();
    assert!(error.contains("metadata.redb"), "{error}");
    drop(first);
    Embedded::open(&path).unwrap();
    assert_eq!(Epoch::default().0, read(&path).global_epoch.0);
}
