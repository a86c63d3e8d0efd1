//! Everything moves as far as it can, until it has come to rest.

use crate::world::World;

impl World {
    /// One turn in which everything moves as far as it can.
    pub(crate) fn flow(&mut self) {
        self.node_window = usize::MAX;
        for client in 0..self.clients.len() {
            while self.client_sends(client, usize::MAX) > 0 {}
            self.client_takes(client, usize::MAX);
        }
        self.flow_nodes();
    }

    /// One turn in which connections are made and nodes move as far as they are let.
    pub(crate) fn flow_nodes(&mut self) {
        for link in self.links() {
            self.connects(link);
            self.node_takes(link);
            while self.node_sends(link, usize::MAX) > 0 {}
        }
        self.end_turn();
    }

    /// What a new client is answered to these bytes, once everything has come to rest.
    pub(crate) fn dialogue(&mut self, bytes: &[u8]) -> (String, usize) {
        let client = self.accept();
        (self.says(client, bytes), client)
    }

    /// What this client is answered to these bytes, once everything has come to rest.
    pub(crate) fn says(&mut self, client: usize, bytes: &[u8]) -> String {
        const TURNS_TO_REST: usize = 8;
        self.clients[client].outgoing.extend_from_slice(bytes);
        self.clients[client].log = Some(Vec::new());
        for _ in 0..TURNS_TO_REST {
            self.flow();
            self.pass(1_000);
        }
        String::from_utf8_lossy(self.clients[client].log.as_ref().unwrap()).into_owned()
    }

    /// Lets everything move until every client has all its replies or is closed. It must not take longer than
    /// any limit in time allows.
    pub(crate) fn finish(&mut self) {
        const TURNS_MAX: usize = 4_000;
        const TURN_US: u64 = 2_000;
        for _ in 0..TURNS_MAX {
            self.flow();
            if self.clients.iter().all(|client| client.closed || client.has_everything()) {
                return self.check_nodes();
            }
            self.pass(TURN_US);
        }
        self.stands_still();
    }

    /// Says who waits for what, and fails.
    pub(crate) fn stands_still(&self) -> ! {
        for client in self.clients.iter().filter(|client| !client.closed && !client.has_everything()) {
            let (sent, all) = (client.sent, client.outgoing.len());
            let (replies, due) = (client.replies, client.expected.len());
            eprintln!("client {}: {sent} of {all} bytes sent, {replies} of {due} replies", client.name);
        }
        panic!("it stands still");
    }

    pub(crate) fn check_nodes(&self) {
        for (address, node) in &self.nodes {
            assert!(node.complaints.is_empty(), "{address}: {:?}", node.complaints);
        }
    }
}
