//! Proxies that do not let a coordinator in: it cannot ask them, and that is no word about their health.

use std::time::{Duration, Instant};

use crate::fixture::{Fixture, wait};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_wrong_password_is_nobodys_death() {
    let fixture = Fixture::start(2, 0);
    wait(LIMIT, "all proxies are filled", || fixture.is_filled());
    let proxies = [0, 1].map(|number| fixture.address(number));
    proxies.iter().for_each(|proxy| fixture.crowd.refuse(proxy));
    let (begun, silence) = (Instant::now(), fixture.config.proxy_timeout.duration() * 2);
    wait(LIMIT, "they would have been dead for long", || {
        let state = fixture.metadata.state();
        assert!(state.failures.is_empty(), "{:?}", state.failures);
        assert!(!proxies.iter().any(|proxy| state.is_failed(proxy)));
        begun.elapsed() > silence
    });
    wait(LIMIT, "the broker is told that they cannot be asked", || {
        let seen = fixture.metadata.seen.lock().unwrap();
        seen.as_ref().is_some_and(|seen| seen.unaskable.len() == 2)
    });
    // One that ends after that is dead as any other.
    fixture.crowd.kill(&proxies[0]);
    wait(LIMIT, "the dead one is reported", || {
        let state = fixture.metadata.state();
        state.failures.contains_key(&proxies[0]) || state.is_failed(&proxies[0])
    });
    assert!(!fixture.metadata.state().failures.contains_key(&proxies[1]));
}
