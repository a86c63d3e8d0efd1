//! Random worlds in which everything holds.

use sim::{Setup, play};

/// How many worlds are played, and from which seed on.
#[expect(clippy::disallowed_methods, reason = "the person who runs the tests says how many worlds")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

pub(crate) fn setup(seed: u64) -> Setup {
    let quorum = 1 + usize::from(seed % 4 == 3);
    // With one broker, which knows of all readings, failovers take less time.
    let brokers = if seed % 3 == 1 { 1 } else { 2 };
    Setup { coordinators: 2 + usize::from(seed.is_multiple_of(5)), brokers, quorum, ..Setup::default() }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "worlds know nothing of each other, and there are many")]
fn everything_holds() {
    let (worlds, first) = (number("WORLDS", 500), number("SEED", 0));
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let play_one = |seed: u64| {
        let world = play(setup(seed), seed);
        world.checks.found().map(|found| format!("seed {seed}: {found:?}\n{}", world.picture()))
    };
    let failures: Vec<String> = std::thread::scope(|scope| {
        let play_some = |thread: usize| {
            (first..first + worlds).skip(thread).step_by(threads).filter_map(play_one).collect::<Vec<_>>()
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || play_some(thread))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    for failure in failures.iter().take(3) {
        println!("{failure}\nto play it again: make sim WORLDS=1 SEED=<seed> CASES=1\n");
    }
    assert!(failures.is_empty(), "{} of {worlds} worlds from seed {first} on", failures.len());
}
