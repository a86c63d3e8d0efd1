//! A proxy whose requests come to two workers of another, one after the other: what the first has sent to its node, and was
//! answered with an error, is never executed after what the second is acknowledged.

use proxy_core::engine::Policy;

use crate::client::Allowed;
use crate::nodes::kill_whom_others_ask_for;
use crate::views::{NODES, Owner, PEER, tag};
use crate::world::World;

const HERE: &str = "127.0.0.1:7001 1 0-5000 PEER 127.0.0.2:5299 1 5001-15000";
const THERE: &str = "127.0.0.1:7002 1 5001-15000 PEER 127.0.0.2:5299 1 0-5000";

struct Trio {
    here: World,
    /// Two workers of the other proxy, in front of one node.
    there: [World; 2],
    /// Which client of which worker a connection is, by its number.
    wires: Vec<(usize, usize, usize)>,
    /// Which worker takes the next connection.
    taker: usize,
}

impl Trio {
    fn new() -> Trio {
        let world = |view: &str| {
            let forwards = |settings: &mut proxy_core::settings::Settings| settings.active_redirection = true;
            let mut world = World::with_settings(Some(view), Policy::default(), forwards);
            world.has_other = true;
            world.allowed = Allowed { failures: true, ..Allowed::default() };
            world
        };
        let here = world(HERE);
        let mut there = [(); 2].map(|()| world(THERE));
        let [first, second] = &mut there;
        second.be_colleague_of(first);
        Trio { here, there, wires: Vec::new(), taker: 0 }
    }

    /// Everything moves as far as the node lets it.
    fn moves(&mut self) {
        for _ in 0..8 {
            self.here.flow();
            for link in self.here.links.iter_mut().flatten() {
                if link.address.to_string() != PEER || !link.connected {
                    continue;
                }
                let known = self.wires.iter().find(|wire| wire.0 == link.number).copied();
                let (_, worker, client) = known.unwrap_or_else(|| {
                    let client = self.there[self.taker].accept_from(link.end_seen());
                    self.there[self.taker].clients[client].log = Some(Vec::new());
                    self.wires.push((link.number, self.taker, client));
                    (link.number, self.taker, client)
                });
                let client = &mut self.there[worker].clients[client];
                client.outgoing.append(&mut link.under_way);
                link.replies.append(client.log.as_mut().unwrap());
            }
            self.there.iter_mut().for_each(World::flow);
            self.kill_whom_others_ask_for();
            self.pass(1_000);
        }
    }

    fn pass(&mut self, us: u64) {
        self.here.pass(us);
        self.there.iter_mut().for_each(|world| world.pass(us));
    }

    /// CLIENT KILL concerns all workers, and is answered by all of them.
    fn kill_whom_others_ask_for(&mut self) {
        let [first, second] = &mut self.there;
        kill_whom_others_ask_for(&mut [first, second]);
    }

    fn stop(&mut self) {
        self.there.iter_mut().for_each(|world| world.node(NODES[1]).is_stopped = true);
    }

    /// The node goes on, and reads what the second worker has sent first, and what was closed last.
    fn go_on(&mut self) {
        let node = NODES[1].parse().unwrap();
        self.there[1].goes_on(&node, false);
        self.there[0].goes_on(&node, false);
    }

    fn says(&mut self, client: usize, bytes: &str) {
        self.here.clients[client].outgoing.extend_from_slice(bytes.as_bytes());
        self.moves();
    }

    fn seen(&self, client: usize) -> String {
        String::from_utf8_lossy(self.here.clients[client].log.as_ref().unwrap()).into_owned()
    }

    /// A client here has asked for something there, and then for this, which is with the stopped node now.
    fn asked(&mut self, bytes: &str) -> usize {
        let client = self.here.accept();
        self.here.clients[client].log = Some(Vec::new());
        self.says(client, &format!("get {}\r\n", key()));
        // The second worker has connections already, for another protocol.
        self.taker = 1;
        let other = self.here.accept();
        self.here.clients[other].log = Some(Vec::new());
        self.says(other, &format!("hello 3\r\nget {}\r\n", key()));
        self.moves();
        assert!(self.seen(other).ends_with("_\r\n"), "{}", self.seen(other));
        self.stop();
        self.says(client, bytes);
        assert_eq!(self.seen(client), "$-1\r\n");
        client
    }

    /// The node goes on, and everything comes to rest: what was acknowledged last is what is there.
    fn ends(mut self, client: usize, what: &str) {
        self.go_on();
        for _ in 0..40 {
            self.moves();
            self.pass(50_000);
        }
        let seen = self.seen(client);
        assert!(seen.contains("-ERR backend"), "{what}: {seen}");
        let acknowledged = seen.ends_with("+OK\r\n");
        let other = self.here.accept();
        self.here.clients[other].log = Some(Vec::new());
        self.says(other, &format!("set {0}2 1\r\nget {0}\r\n", key()));
        let after = self.seen(other);
        assert!(after.starts_with("+OK\r\n"), "{what}: the other proxy is reached again: {after}");
        assert!(!acknowledged || after.ends_with("$3\r\nnew\r\n"), "{what}: {seen}{after}");
    }
}

fn key() -> String {
    format!("{{{}}}k", tag(Owner::Other, 0))
}

#[test]
fn what_a_link_that_ended_had_sent_is_not_executed_later() {
    for is_made_again in [false, true] {
        let mut trio = Trio::new();
        let client = trio.asked(&format!("set {} old\r\n", key()));
        let &(number, worker, there) = trio.wires.iter().rfind(|wire| wire.1 == 0).unwrap();
        trio.there[worker].client_breaks(there);
        let is_it = |link: &usize| trio.here.links[*link].as_ref().unwrap().number == number;
        let link = trio.here.links().into_iter().find(is_it).unwrap();
        trio.here.fails(link);
        trio.here.end_turn();
        assert!(trio.seen(client).contains("-ERR backend"), "{}", trio.seen(client));
        if is_made_again {
            for _ in 0..4 {
                trio.pass(50_000);
                trio.moves();
            }
        }
        trio.says(client, &format!("set {} new\r\n", key()));
        trio.ends(client, "it ended");
    }
}

#[test]
fn what_one_worker_gave_up_another_does_not_overtake() {
    for protocol in ["hello 3", "hello 2"] {
        let mut trio = Trio::new();
        let client = trio.asked(&format!("set {} old\r\n", key()));
        for _ in 0..400 {
            trio.pass(10_000);
            trio.moves();
            if trio.seen(client).contains("-ERR backend") {
                break;
            }
        }
        trio.says(client, &format!("{protocol}\r\n"));
        let before = trio.seen(client);
        trio.says(client, &format!("set {} new\r\n", key()));
        trio.ends(client, &before);
    }
}

#[test]
fn what_comes_behind_an_order_to_close_waits_for_its_answer() {
    let mut world = World::new(THERE, Policy::default());
    let client = world.accept();
    let seen = world.says(client, format!("client kill id 77\r\nset {0} 1\r\nget {0}\r\n", key()).as_bytes());
    assert_eq!(seen, "");
    assert_eq!(world.node(NODES[1]).executed, 0);
    world.kill_whom_others_ask_for();
    assert_eq!(world.says(client, b"ping\r\n"), ":0\r\n+OK\r\n$1\r\n1\r\n+PONG\r\n");
}
