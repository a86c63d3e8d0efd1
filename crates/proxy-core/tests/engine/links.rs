//! The connections to other proxies: how many there are, for how long, and what they may make a proxy keep.

use proxy_core::engine::{Pause, Policy};

use crate::views::{BOTH, Owner, PEER, tag};
use crate::world::World;

/// More than a proxy has to another in one worker.
const LINKS_MAX: usize = 65;

fn forwarding() -> World {
    World::with_settings(Some(BOTH), Policy::default(), |settings| {
        settings.active_redirection = true;
        settings.max_redirections = 64;
    })
}

fn links_to_the_other(world: &World) -> usize {
    world.links().into_iter().filter(|&link| world.is_link_to(link, PEER)).count()
}

#[test]
fn one_client_opens_a_limited_number_of_connections_to_another_proxy() {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let client = world.accept();
    let mut most = 0;
    for protocol in [2, 3] {
        for db in 0..4 {
            let mut requests = format!("hello {protocol}\r\nselect {db}\r\n");
            for hops in 1..80 {
                requests.push_str(&format!("umforward {hops} get {key}\r\n"));
            }
            world.says(client, requests.as_bytes());
            for _ in 0..500 {
                world.flow();
                world.pass(1_000);
                most = most.max(links_to_the_other(&world));
            }
            let seen = String::from_utf8_lossy(world.clients[client].log.as_ref().unwrap()).into_owned();
            let answers = seen.matches("$-1\r\n").count() + seen.matches("_\r\n").count();
            assert!(answers >= 79, "{answers}: {seen}");
        }
    }
    assert!((LINKS_MAX - 1..=LINKS_MAX).contains(&most), "{most} connections");
    // What nobody uses is closed, and made again when somebody does.
    for _ in 0..70 {
        world.pass(1_000_000);
        world.flow();
    }
    assert_eq!(links_to_the_other(&world), 0);
    let seen = world.says(client, format!("hello 2\r\nget {key}\r\n").as_bytes());
    assert!(seen.ends_with("$-1\r\n"), "{seen}");
}

#[test]
fn a_request_travels_as_far_as_this_proxy_allows() {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let (seen, _) = world.dialogue(format!("umforward 0 get {key}\r\numforward 1 get {key}\r\n").as_bytes());
    assert_eq!(seen, format!("-{}\r\n$-1\r\n", proxy_core::errors::TOO_MANY_REDIRECTIONS));
}

#[test]
fn with_more_kinds_of_connections_than_there_may_be_the_idle_ones_make_room() {
    let mut world = forwarding();
    let key = tag(Owner::Other, 0);
    let client = world.accept();
    for round in 0..3 {
        for db in 0..16 {
            for hops in 1..16 {
                let seen =
                    world.says(client, format!("select {db}\r\numforward {hops} get {key}\r\n").as_bytes());
                assert_eq!(seen, "+OK\r\n$-1\r\n", "round {round}, {db}, {hops}");
            }
        }
    }
}

#[test]
fn what_another_proxy_may_have_kept_is_small_and_counted() {
    let mut world = World::new(BOTH, Policy::default());
    let long = "x".repeat(65);
    let (seen, client) = world.dialogue(format!("umforward sessions {long}\r\n").as_bytes());
    assert!(seen.starts_with("-ERR"), "{seen}");
    assert_eq!(world.says(client, b"umforward sessions 0123456789abcdef\r\n"), "+OK\r\n");
    let held = |world: &World| {
        let id = world.clients[client].id;
        world.engine.session_sketches().find(|sketch| sketch.id == id).unwrap().held_bytes
    };
    let before = held(&world);
    let until_us = world.now.us + 60_000_000;
    world.engine.pause(Some(Pause { until_us, writes_only: false }));
    let requests: String = (0..2_000).map(|number| format!("umforward 1/{number} incr a\r\n")).collect();
    let seen = world.says(client, requests.as_bytes());
    assert_eq!(seen.matches("+UMHELD 0123456789abcdef\r\n").count(), 2_000);
    assert!(held(&world) >= before + 2_000 * size_of::<u64>(), "{} B, {before} B before", held(&world));
}
