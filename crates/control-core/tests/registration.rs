//! Registering proxies: which names are one machine, and what is refused of a proxy that is known.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

use std::collections::BTreeMap;

use control_core::{Command, HostName, NewProxy, Reply, ReporterId, State, TimeMs, apply};

/// A proxy of this address, with its nodes on the two ports above.
fn proxy_at(text: &str, host: Option<&str>) -> NewProxy {
    let address: model::Address = text.parse().unwrap();
    let node = |above| model::Address::new(address.host(), address.port() + above).unwrap();
    let (nodes, host) = (vec![node(1), node(2)], host.map(|host| HostName(host.to_owned())));
    NewProxy { nodes, address, host, index: None }
}

#[test]
fn one_machine_is_one_host_by_whatever_name() {
    let mut state = State::default();
    for proxy in ["127.0.0.1:7000", "localhost:7010", "[::1]:7020"] {
        apply(&mut state, Command::RegisterProxy(proxy_at(proxy, None))).unwrap();
    }
    let create = Command::CreateCluster {
        cluster: "db".parse().unwrap(),
        node_number: 4,
        config: BTreeMap::new(),
        now: TimeMs(1),
    };
    let refused = apply(&mut state, create.clone()).unwrap_err();
    assert_eq!(refused.code(), "RESOURCE_NOT_BALANCE", "{refused}");
    for proxy in ["localhost:7000", "LOCALHOST:7000", "[::1]:7000", "[::ffff:127.0.0.1]:7000"] {
        let refused = apply(&mut state, Command::RegisterProxy(proxy_at(proxy, None))).unwrap_err();
        assert_eq!(refused.code(), "INVALID_PROXY_ADDRESS", "{proxy}");
        assert!(refused.to_string().contains("by another name"), "{refused}");
    }
    // Its node is another proxy's, and its own address another's node.
    for (proxy, why) in [("localhost:6999", "it is a proxy"), ("localhost:7001", "node of another proxy")] {
        let refused = apply(&mut state, Command::RegisterProxy(proxy_at(proxy, None))).unwrap_err();
        assert!(refused.to_string().contains(why), "{proxy}: {refused}");
    }
    // Who says that it is another host is believed: several machines of a trial may be one.
    apply(&mut state, Command::RegisterProxy(proxy_at("localhost:7030", Some("other")))).unwrap();
    apply(&mut state, create).unwrap();
}

#[test]
fn a_known_proxy_with_other_nodes() {
    let mut state = State::default();
    let known = proxy_at("10.0.0.1:7000", Some("rack-1"));
    apply(&mut state, Command::RegisterProxy(known.clone())).unwrap();
    let (proxy, reporter, now) = (known.address.clone(), ReporterId("c".to_owned()), TimeMs(1));
    apply(&mut state, Command::ReportFailure { proxy, reporter, now }).unwrap();
    let before = state.clone();
    let mut other_nodes = known.clone();
    other_nodes.nodes = proxy_at("10.0.0.1:7100", None).nodes;
    let other_host = proxy_at("10.0.0.1:7000", Some("rack-2"));
    for wrong in [other_nodes, other_host] {
        let register = Command::RegisterProxy(wrong.clone());
        let announce = Command::AnnounceProxy { new: wrong, is_at_work: false, serves_nobody: true };
        for command in [register, announce] {
            let refused = apply(&mut state, command).unwrap_err();
            assert_eq!((refused.code(), refused.status()), ("REGISTERED_OTHERWISE", 409));
            assert!(
                refused.to_string().contains("10.0.0.1:7001 and 10.0.0.1:7002 on host rack-1"),
                "{refused}"
            );
            assert!(state == before, "its failure is not cleared either");
        }
    }
    // The same nodes in another order, and a host that is not named.
    let mut again = NewProxy { host: None, ..known };
    again.nodes.reverse();
    assert_eq!(apply(&mut state, Command::RegisterProxy(again)), Ok(Reply::AlreadyExisted));
    assert!(state.failures.is_empty());
}
