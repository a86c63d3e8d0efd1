//! Proxies that do not let a coordinator in: it cannot ask them, and that is no word about their health.

use std::time::{Duration, Instant};

use control_core::Command;

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

#[test]
fn a_view_that_is_not_taken_is_told() {
    let fixture = Fixture::start(2, 0);
    wait(LIMIT, "all proxies are filled", || fixture.is_filled());
    let proxy = fixture.address(0);
    fixture.crowd.take_views(&proxy, false);
    let (epoch, cluster) = {
        let state = fixture.metadata.state();
        (state.global_epoch, state.clusters.keys().next().unwrap().clone())
    };
    let fields = [("compression_strategy".to_owned(), "set_get_only".to_owned())].into();
    fixture.metadata.change(Command::SetConfig { cluster, fields }).unwrap();
    assert!(fixture.metadata.state().global_epoch > epoch);
    let told = || {
        let seen = fixture.metadata.seen.lock().unwrap();
        seen.as_ref().map_or_else(Vec::new, |seen| seen.late.clone())
    };
    wait(LIMIT, "the broker is told", || !told().is_empty());
    let late = told();
    assert_eq!((late.len(), &late[0].proxy), (1, &proxy), "{late:?}");
    assert!(late[0].why.as_ref().is_some_and(|why| why.contains("this cannot be taken")), "{late:?}");
    assert!(late[0].for_ms >= 3_000, "{late:?}");
    fixture.crowd.take_views(&proxy, true);
    wait(LIMIT, "it is told no more", || told().is_empty());
    wait(LIMIT, "all proxies are filled", || fixture.is_filled());
}
