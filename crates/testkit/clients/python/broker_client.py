"""An independent client of the broker's /api/v3: broker_client.py MODE SEED STEPS BROKER PROXY=NODE,NODE… ends
with 0 when all went well.

It is written from the description of the interface alone and uses nothing of this project: HTTP by urllib, and
Redis's protocol over a plain socket.

walk     fills the pool of an empty broker, meets the refusals, then does STEPS random operations, and after each
         checks what must hold of any cluster
ordered  meets what is different where proxies are ordered, on another empty broker
compare  makes clusters and changes them while a coordinator runs, and compares what every proxy says in CLUSTER
         NODES with what the broker says: the name, the epoch, the slots, who is a replica; and what every Redis
         server says in ROLE. Data that was written through the proxies outlives a failover
"""

import json
import random
import socket
import sys
import time
import urllib.error
import urllib.request

SLOTS = 16384
NAMES = ["one", "two@2", "three_3-x"]
# How long the proxies may take to hear of a change, and the servers to be what they should.
PUSH_SECONDS = 30
# How many keys are written before a failover, and how many redirections one request follows.
KEYS = 40
HOPS = 5


class Refused(Exception):
    """An answer that is not a success."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status, self.code = status, body.get("error")


def check(condition, what):
    if not condition:
        raise SystemExit(f"broken: {what}")


class Broker:
    def __init__(self, address):
        self.base = f"http://{address}/api/v3/"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
                check(answer.status == 200, f"{method} {path}: a success that is {answer.status}")
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            raise Refused(error.code, json.loads(text)) from None
        if path == "version":
            return text
        return json.loads(text) if text else None

    def unfit_replicas(self, name):
        """The replicas that may not take over; only /api/v4 says that."""
        with urllib.request.urlopen(self.base.replace("/v3/", f"/v4/clusters/{name}/health"), timeout=30) as answer:
            shards = json.load(answer)["shards"]
        return [shard["replica"]["node"] for shard in shards if shard["sync"] != "in_sync"]

    def refuses(self, method, path, status, code, body=None):
        try:
            answer = self.call(method, path, body)
        except Refused as refused:
            found = (refused.status, refused.code)
            check(found == (status, code), f"{method} {path} {body}: {found}, not {(status, code)}")
        else:
            raise SystemExit(f"{method} {path} {body} was not refused but answered {answer}")


class Said(Exception):
    """An error reply."""


def read_reply(stream):
    head = stream.readline()
    kind, rest = head[:1], head[1:].rstrip(b"\r\n")
    if kind == b"-":
        return Said(rest.decode())
    if kind == b":":
        return int(rest)
    if kind == b"+":
        return rest.decode()
    check(kind in (b"$", b"*"), f"a reply: {head}")
    if int(rest) < 0:
        return None
    if kind == b"$":
        return stream.read(int(rest) + 2)[:-2].decode()
    return [read_reply(stream) for _ in range(int(rest))]


def ask(address, *requests):
    """The replies to requests, each a list of words, on one connection."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        stream = connection.makefile("rb")
        for words in requests:
            parts = [f"${len(word)}\r\n{word}\r\n" for word in map(str, words)]
            connection.sendall(f"*{len(parts)}\r\n{''.join(parts)}".encode())
        return [read_reply(stream) for _ in requests]


def follow(proxy, *requests):
    """The replies at whoever owns the slots of the first request, beginning at a proxy.

    As cluster clients do, it tries again while the slots are without service: a proxy that has just got its view serves
    from its first lease on."""
    deadline = time.monotonic() + PUSH_SECONDS
    hops = 0
    while hops < HOPS:
        replies = ask(proxy, *requests)
        if not isinstance(replies[0], Said):
            return replies
        words = str(replies[0]).split(" ")
        if words[0] == "CLUSTERDOWN" and time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        check(words[0] == "MOVED", f"{proxy} answers {replies[0]} to {requests[0]}")
        proxy = words[2]
        hops += 1
    raise SystemExit(f"broken: {requests[0]} is sent on and on")


def eventually(what, differs):
    """Until there is no difference any more."""
    deadline = time.monotonic() + PUSH_SECONDS
    while True:
        wrong = differs()
        if not wrong:
            return
        check(time.monotonic() < deadline, f"{what}: {wrong}")
        time.sleep(0.05)


def proxy_cluster_nodes(proxy):
    """What a proxy says in CLUSTER NODES: [(name, address, flags, epoch, slots)]."""
    (text,) = ask(proxy, ["CLUSTER", "NODES"])
    if isinstance(text, Said):
        return None  # It has no cluster.
    found = {}
    lines = []
    for line in text.splitlines():
        identity, address, flags, primary, _ping, _pong, epoch, link, *slots = line.split(" ")
        check(len(identity) == 40 and identity.endswith("____"), f"a node's id: {line}")
        check(link == "connected", f"a link: {line}")
        owned = set()
        for part in (part for part in slots if not part.startswith("[")):
            first, _, last = part.partition("-")
            owned.update(range(int(first), int(last or first) + 1))
        flags = flags.split(",")
        found[identity] = (flags, primary)
        lines.append((identity[:20].rstrip("_"), address.split("@")[0], flags, int(epoch), owned))
    check(sum("myself" in flags for flags, _ in found.values()) == 1, f"one is itself: {text}")
    for flags, primary in found.values():
        is_replica = "slave" in flags
        check(is_replica != ("master" in flags), f"either a primary or a replica: {text}")
        check(found[primary][0][-1] == "master" if is_replica else primary == "-", f"whose replica: {text}")
    return lines


def ranges(assignments, tag=None):
    """The slots of a node's assignments, all or only those of a tag."""
    found = set()
    for slots in assignments:
        kind = slots["tag"] if isinstance(slots["tag"], str) else next(iter(slots["tag"]))
        if tag is None or kind == tag:
            for first, last in slots["range_list"]:
                found.update(range(first, last + 1))
    return found


class Walk:
    def __init__(self, broker, seed, pool):
        self.broker, self.random, self.pool = broker, random.Random(seed), pool
        self.epoch = 0
        self.done = {}
        self.refused = {}

    # What must hold.

    def cluster(self, name):
        return self.broker.call("GET", f"clusters/meta/{name}")["cluster"]

    def check_cluster(self, name):
        cluster = self.cluster(name)
        nodes = cluster["nodes"]
        check(cluster["name"] == name and len(nodes) % 4 == 0 and nodes, f"{name}: {cluster}")
        owned = []
        for place in range(0, len(nodes), 4):
            self.check_chunk(name, nodes[place:place + 4])
        for node in nodes:
            check(node["cluster_name"] == name, f"{name}: {node}")
            own = ranges(node["slots"], "None") | ranges(node["slots"], "Migrating")
            check(node["repl"]["role"] == "master" or not node["slots"], f"a replica with slots: {node}")
            owned.extend(own)
        check(sorted(owned) == list(range(SLOTS)), f"{name}: not each slot has one owner")
        info = self.broker.call("GET", f"clusters/info/{name}")
        check(info["name"] == name and info["node_number"] == len(nodes), f"{name}: {info}")
        moving = any(isinstance(slots["tag"], dict) for node in nodes for slots in node["slots"])
        check(info["is_migrating"] or not moving, f"{name}: slots move, and {info}")
        with_slots = sum(
            4 for place in range(0, len(nodes), 4)
            if any(ranges(node["slots"], "None") | ranges(node["slots"], "Migrating")
                   for node in nodes[place:place + 4]))
        check(info["node_number_with_slots"] == with_slots, f"{name}: {info}, and it is {with_slots}")
        return cluster

    def check_chunk(self, name, chunk):
        proxies = [node["proxy_address"] for node in chunk]
        check(proxies[0] == proxies[1] and proxies[2] == proxies[3], f"{name}: a chunk of {proxies}")
        check(self.pool[proxies[0]]["host"] != self.pool[proxies[2]]["host"], f"{name}: one host: {proxies}")
        for proxy, pair in ((proxies[0], chunk[:2]), (proxies[2], chunk[2:])):
            check([node["address"] for node in pair] == self.pool[proxy]["nodes"], f"{name}: nodes of {proxy}")
        for node, other in ((0, 3), (1, 2), (2, 1), (3, 0)):
            peers = [{"node_address": chunk[other]["address"], "proxy_address": chunk[other]["proxy_address"]}]
            check(chunk[node]["repl"]["peers"] == peers, f"{name}: the peer of node {node}: {chunk[node]}")
        for shard in ((0, 3), (1, 2)):
            roles = sorted(chunk[node]["repl"]["role"] for node in shard)
            check(roles == ["master", "replica"], f"{name}: roles {roles} in one shard")

    def check_all(self):
        names = self.broker.call("GET", "clusters/names")["names"]
        check(names == sorted(names), f"names are in order: {names}")
        epoch = self.broker.call("GET", "epoch")
        check(epoch >= self.epoch, f"the epoch went back from {self.epoch} to {epoch}")
        self.epoch = epoch
        used = {}
        for name in names:
            cluster = self.check_cluster(name)
            check(cluster["epoch"] <= epoch, f"{name}: epoch {cluster['epoch']} above {epoch}")
            for node in cluster["nodes"]:
                check(used.setdefault(node["proxy_address"], name) == name, "a proxy in two clusters")
        addresses = self.broker.call("GET", "proxies/addresses")["addresses"]
        for address in addresses:
            proxy = self.broker.call("GET", f"proxies/meta/{address}")["proxy"]
            name = used.get(address)
            check(proxy["address"] == address, f"{proxy}")
            if name is None:
                check(proxy["nodes"] == [] and proxy["peers"] == [], f"in the pool: {proxy}")
                check(proxy["free_nodes"] == self.pool[address]["nodes"], f"in the pool: {proxy}")
            else:
                check(proxy["free_nodes"] == [] and len(proxy["nodes"]) == 2, f"in use: {proxy}")
                check(list(proxy["clusters_config"]) == [name], f"in use: {proxy}")
                check(all(peer["cluster_name"] == name for peer in proxy["peers"]), f"in use: {proxy}")
        return names

    # Random operations.

    def attempt(self, what, *call):
        try:
            answer = self.broker.call(*call)
        except Refused as refused:
            check(refused.status in (400, 404, 409), f"{what} {call}: {refused}")
            self.refused[refused.code] = self.refused.get(refused.code, 0) + 1
            return None
        self.done[what] = self.done.get(what, 0) + 1
        return answer

    def step(self):
        name = self.random.choice(NAMES)
        number = 4 * self.random.randint(1, 3)
        proxy = self.random.choice(list(self.pool))
        choose = [
            (3, lambda: self.attempt("create", "POST", f"clusters/meta/{name}", {"node_number": number})),
            (1, lambda: self.attempt("delete", "DELETE", f"clusters/meta/{name}")),
            (2, lambda: self.attempt("add", "PATCH", f"clusters/nodes/{name}", {"node_number": 4})),
            (1, lambda: self.attempt("grow", "PUT", f"clusters/nodes/{name}", {"cluster_node_number": number})),
            (2, lambda: self.attempt("give back", "DELETE", f"clusters/free_nodes/{name}")),
            (3, lambda: self.attempt("expand", "POST", f"clusters/migrations/expand/{name}")),
            (2, lambda: self.attempt("shrink", "POST", f"clusters/migrations/shrink/{name}/{number}")),
            (2, lambda: self.attempt("scale", "POST", f"clusters/migrations/auto/{name}/{number}")),
            (6, lambda: self.commit(name)),
            (1, lambda: self.attempt("configure", "PATCH", f"clusters/config/{name}",
                                     {"migration_max_blocking_time": str(self.random.randint(1, 9999))})),
            (1, lambda: self.attempt("balance", "PUT", f"clusters/balance/{name}")),
            (1, lambda: self.attempt("report", "POST", f"failures/{proxy}/a-client")),
            (1, lambda: self.fail_over(proxy)),
            (4, lambda: self.attempt("register", "POST", "proxies/meta", self.registration(proxy))),
            (1, lambda: self.attempt("remove", "DELETE", f"proxies/meta/{proxy}")),
        ]
        weights, actions = zip(*choose)
        self.random.choices(actions, weights)[0]()

    def registration(self, proxy):
        return {"proxy_address": proxy, "nodes": self.pool[proxy]["nodes"], "host": self.pool[proxy]["host"]}

    def fail_over(self, proxy):
        before = {name: self.cluster(name) for name in self.broker.call("GET", "clusters/names")["names"]}
        answer = self.attempt("fail over", "POST", f"proxies/failover/{proxy}")
        if answer is None:
            return
        used = [name for name, cluster in before.items()
                if any(node["proxy_address"] == proxy for node in cluster["nodes"])]
        check((answer["proxy"] is None) == (not used), f"a failover of {proxy} answered {answer}")
        if used:
            check(answer["proxy"]["address"] != proxy, "a proxy replaced by itself")
        check(proxy in self.broker.call("GET", "proxies/failed/addresses")["addresses"], "not noted as failed")

    def commit(self, name):
        cluster = self.cluster(name)
        for node in cluster["nodes"] if cluster else []:
            for slots in node["slots"]:
                if isinstance(slots["tag"], dict) and "Migrating" in slots["tag"]:
                    meta = slots["tag"]["Migrating"]
                    check(meta["src_node_address"] == node["address"], f"{name}: {slots}")
                    task = {"cluster_name": name, "slot_range": slots}
                    self.attempt("commit", "PUT", "clusters/migrations", task)
                    moved = ranges([slots])
                    target = next(n for n in self.cluster(name)["nodes"]
                                  if n["address"] == meta["dst_node_address"])
                    own = ranges(target["slots"], "None") | ranges(target["slots"], "Migrating")
                    check(moved <= own, f"{name}: {slots} was committed and is not at its target")
                    return

    def commit_all(self, name):
        """Commits until nothing moves any more, and compares after each."""
        while self.broker.call("GET", f"clusters/info/{name}")["is_migrating"]:
            before = self.done.get("commit", 0)
            self.commit(name)
            check(self.done.get("commit", 0) == before + 1, f"{name}: nothing could be committed: {self.refused}")
            self.check_cluster(name)
            self.wait_for_proxies()

    # Proxies.

    def wait_for_proxies(self):
        """Until every proxy has the broker's epoch, name and slots, and every server its role."""
        eventually("the proxies were not told", self.differences)
        eventually("the servers are not what they should be", self.role_differences)

    def used(self):
        """The cluster of each proxy that is in one."""
        found = {}
        for name in self.broker.call("GET", "clusters/names")["names"]:
            found.update({node["proxy_address"]: name for node in self.cluster(name)["nodes"]})
        return found

    def role_differences(self):
        for name in self.broker.call("GET", "clusters/names")["names"]:
            for node in self.cluster(name)["nodes"]:
                (role,) = ask(node["address"], ["ROLE"])
                if node["repl"]["role"] == "master":
                    right = role[0] == "master"
                else:
                    peer = node["repl"]["peers"][0]["node_address"]
                    right = role[0] == "slave" and f"{role[1]}:{role[2]}" == peer and role[3] == "connected"
                if not right:
                    return f"{node['address']} is {role[:4]}, and the broker has {node['repl']}"
        return None

    def differences(self):
        used = self.used()
        for proxy in self.pool:
            if proxy not in used and any(slots for *_, slots in proxy_cluster_nodes(proxy) or []):
                return f"{proxy} is in no cluster and says that it is"
        for name in self.broker.call("GET", "clusters/names")["names"]:
            cluster = self.cluster(name)
            owned = {}
            for node in cluster["nodes"]:
                own = ranges(node["slots"], "None") | ranges(node["slots"], "Migrating")
                owned.setdefault(node["proxy_address"], set()).update(own)
            for proxy in owned:
                lines = proxy_cluster_nodes(proxy)
                if not lines:
                    return f"{proxy} has no cluster and should have {name}"
                said = {}
                for found, address, flags, epoch, slots in lines:
                    if found != name or epoch != cluster["epoch"]:
                        return f"{proxy}: {found} at {epoch}, the broker has {name} at {cluster['epoch']}"
                    said.setdefault(address, set()).update(slots)
                    if "myself" in flags and address != proxy:
                        return f"{proxy} takes itself for {address}"
                if {a: s for a, s in said.items() if s} != {a: s for a, s in owned.items() if s}:
                    return f"{proxy}: other slots than the broker has"
        return None


def meet_refusals(broker, pool):
    first = next(iter(pool))
    nodes = {"node_number": 4}
    broker.refuses("POST", "clusters/meta/my.db", 400, "INVALID_CLUSTER_NAME", nodes)
    broker.refuses("POST", f"clusters/meta/{'x' * 31}", 400, "INVALID_CLUSTER_NAME", nodes)
    broker.refuses("POST", "clusters/meta/db", 400, "INVALID_NODE_NUMBER", {"node_number": 5})
    broker.refuses("POST", "clusters/meta/db", 409, "NO_AVAILABLE_RESOURCE", {"node_number": 4000})
    broker.refuses("POST", "proxies/meta", 400, "INVALID_PROXY_ADDRESS", {"proxy_address": "x", "nodes": []})
    broker.refuses("POST", "proxies/meta", 400, "INVALID_PROXY_ADDRESS",
                   {"proxy_address": "h:1", "nodes": ["h:2"]})
    body = {"proxy_address": first, "nodes": pool[first]["nodes"]}
    broker.refuses("POST", "proxies/meta", 409, "ALREADY_EXISTED", body)
    for method, path in (
        ("DELETE", "clusters/meta/none"), ("GET", "clusters/info/none"), ("PUT", "clusters/balance/none"),
        ("DELETE", "clusters/free_nodes/none"), ("POST", "clusters/migrations/expand/none"),
        ("POST", "clusters/migrations/shrink/none/4"), ("POST", "clusters/migrations/auto/none/4"),
    ):
        broker.refuses(method, path, 404, "CLUSTER_NOT_FOUND")
    broker.refuses("PATCH", "clusters/nodes/none", 404, "CLUSTER_NOT_FOUND", nodes)
    broker.refuses("PATCH", "clusters/config/none", 404, "CLUSTER_NOT_FOUND", {})
    for method, path in (("DELETE", "proxies/meta/h:9"), ("POST", "failures/h:9/me"), ("POST", "proxies/failover/h:9")):
        broker.refuses(method, path, 404, "PROXY_NOT_FOUND")
    broker.call("POST", "clusters/meta/db", nodes)
    broker.refuses("POST", "clusters/meta/db", 409, "ALREADY_EXISTED", nodes)
    broker.refuses("PUT", "clusters/nodes/db", 409, "NODE_NUM_ALREADY_ENOUGH", {"cluster_node_number": 4})
    broker.refuses("DELETE", "clusters/free_nodes/db", 404, "FREE_NODE_NOT_FOUND")
    broker.refuses("POST", "clusters/migrations/expand/db", 400, "SLOTS_ALREADY_EVEN")
    broker.refuses("PATCH", "clusters/config/db", 400, "INVALID_CONFIG", {"compression_strategy": "zip"})
    broker.refuses("PATCH", "clusters/config/db", 400, "INVALID_CONFIG", {"colour": "blue"})
    used = broker.call("GET", "clusters/meta/db")["cluster"]["nodes"][0]["proxy_address"]
    broker.refuses("DELETE", f"proxies/meta/{used}", 409, "IN_USE")
    broker.call("PATCH", "clusters/nodes/db", nodes)
    broker.refuses("POST", "clusters/migrations/shrink/db/4", 409, "FREE_NODE_FOUND")
    broker.call("POST", "clusters/migrations/expand/db")
    broker.refuses("POST", "clusters/migrations/expand/db", 409, "MIGRATION_RUNNING")
    broker.refuses("PATCH", "clusters/config/db", 409, "MIGRATION_RUNNING", {"compression_strategy": "allow_all"})
    dump = broker.call("GET", "metadata")
    broker.refuses("PUT", "metadata", 409, "INVALID_META_VERSION", dict(dump, version="v0"))
    epoch = broker.call("GET", "epoch")
    broker.refuses("PUT", f"epoch/{epoch}", 409, "EPOCH_SMALLER_THAN_CURRENT")
    broker.call("PUT", f"epoch/{epoch + 10}")
    broker.refuses("PUT", "metadata", 409, "EPOCH_SMALLER_THAN_CURRENT", dump)
    broker.call("DELETE", "clusters/meta/db")
    # Who raises the epoch says that the metadata may be old: proxies that cannot be asked are given to nobody.
    broker.refuses("POST", "clusters/meta/db", 409, "NO_AVAILABLE_RESOURCE", nodes)
    for proxy in pool:
        broker.call("DELETE", f"proxies/meta/{proxy}")
    for proxy in pool:
        body = {"proxy_address": proxy, "nodes": pool[proxy]["nodes"], "host": pool[proxy]["host"]}
        broker.call("POST", "proxies/meta", body)
    broker.call("POST", "clusters/meta/db", nodes)
    broker.call("POST", "clusters/migrations/auto/db/8")
    broker.refuses("PATCH", "clusters/nodes/db", 409, "NODE_NUMBER_CHANGING", nodes)
    broker.call("DELETE", "clusters/meta/db")


def ordered(broker, _seed, _steps, pool):
    """On an empty broker for which proxies are ordered."""
    proxies = [{"proxy_address": proxy, "nodes": pool[proxy]["nodes"]} for proxy in pool]
    nodes = {"node_number": 4}
    broker.refuses("POST", "proxies/meta", 400, "MISSING_SERVER_PROXY_INDEX", proxies[0])
    for index in (1, 2, 3, 4):
        broker.call("POST", "proxies/meta", dict(proxies[index], index=index))
    broker.refuses("POST", "clusters/meta/db", 409, "PROXY_RESOURCE_OUT_OF_ORDER", nodes)
    broker.call("POST", "proxies/meta", dict(proxies[0], index=0))
    broker.call("POST", "clusters/meta/db", {"node_number": 8})
    found = [node["proxy_address"] for node in broker.call("GET", "clusters/meta/db")["cluster"]["nodes"]]
    check(found[::2] == list(pool)[:4], f"the order of {found}")
    broker.refuses("POST", "clusters/meta/other", 409, "ONE_CLUSTER_ALREADY_EXISTED", nodes)
    before = broker.call("GET", "clusters/meta/db")["cluster"]
    answer = broker.call("POST", f"proxies/failover/{found[0]}")
    check(answer["proxy"]["address"] == found[0], f"the same proxy stays: {answer}")
    after = broker.call("GET", "clusters/meta/db")["cluster"]
    check([n["address"] for n in after["nodes"]] == [n["address"] for n in before["nodes"]], "the places stay")
    check([n["repl"]["role"] for n in after["nodes"][:4]] == ["replica", "replica", "master", "master"], "the roles")


def walk(broker, seed, steps, pool):
    """On a broker that has nothing yet, while nobody else changes anything."""
    check(broker.call("GET", "version").count(".") == 2, "a version")
    check(broker.call("GET", "clusters/names") == {"names": []}, "no cluster yet")
    check(broker.call("GET", "proxies/addresses") == {"addresses": []}, "no proxy yet")
    walker = Walk(broker, seed, pool)
    for number, proxy in enumerate(pool):
        broker.call("POST", "proxies/meta", walker.registration(proxy))
        if number == 1:  # Two on one host.
            broker.refuses("POST", "clusters/meta/db", 409, "RESOURCE_NOT_BALANCE", {"node_number": 4})
    addresses = broker.call("GET", "proxies/addresses")["addresses"]
    check(sorted(addresses) == sorted(pool), "the pool")
    check(broker.call("GET", "proxies/addresses?offset=1&limit=2") == {"addresses": addresses[1:3]}, "a page")
    for call in ("failures", "proxies/failed/addresses"):
        check(broker.call("GET", call) == {"addresses": []}, "nothing has failed")
    meet_refusals(broker, pool)
    for _ in range(int(steps)):
        walker.step()
        walker.check_all()
    print(f"done: {walker.done}\nrefused: {walker.refused}")


def compare(broker, seed, steps, pool):
    """While a coordinator tells the proxies what the broker says."""
    walker = Walk(broker, seed, pool)
    for proxy in pool:
        walker.attempt("register", "POST", "proxies/meta", walker.registration(proxy))
    walker.wait_for_proxies()
    for name in broker.call("GET", "clusters/names")["names"]:
        broker.call("DELETE", f"clusters/meta/{name}")
    for _ in range(int(steps)):
        name = walker.random.choice(NAMES)
        broker.call("POST", f"clusters/meta/{name}", {"node_number": 4})
        walker.wait_for_proxies()
        outlive_failover(walker, name)
        grow_and_shrink(walker, name)
        broker.call("PATCH", f"clusters/config/{name}", {"migration_max_blocking_time": "77"})
        walker.wait_for_proxies()
        broker.call("DELETE", f"clusters/meta/{name}")
        walker.wait_for_proxies()
        leave_and_return(walker)


def outlive_failover(walker, name):
    """A proxy that lives is replaced, comes back to the pool by itself, and nothing is lost."""
    broker = walker.broker
    members = sorted({node["proxy_address"] for node in walker.cluster(name)["nodes"]})
    keys = [f"key{{{number}}}" for number in range(KEYS)]
    for key in keys:
        replies = follow(members[0], ["SET", key, f"of {key}"], ["WAIT", 1, 5000])
        check(replies == ["OK", 1], f"SET {key}: {replies}")
    # A coordinator notes a little later than it is so that a replica may take over; until then the order is refused.
    eventually("a replica may not take over", lambda: broker.unfit_replicas(name))
    gone = walker.random.choice(members)
    answer = broker.call("POST", f"proxies/failover/{gone}")
    check(answer["proxy"]["address"] not in members, f"a spare takes the place: {answer}")
    walker.wait_for_proxies()
    now = sorted({node["proxy_address"] for node in walker.cluster(name)["nodes"]})
    check(gone not in now and answer["proxy"]["address"] in now, f"{gone} was replaced: {now}")
    for key in keys:
        replies = follow(now[0], ["GET", key])
        check(replies == [f"of {key}"], f"GET {key} after a failover: {replies}")
    eventually("it lives and counts as failed",
               lambda: gone in broker.call("GET", "proxies/failed/addresses")["addresses"])
    broker.call("PUT", f"clusters/balance/{name}")
    at_home = ["master", "replica"] * (len(walker.cluster(name)["nodes"]) // 2)
    eventually("the primaries are not at home", lambda: [
        node["repl"]["role"] for node in walker.cluster(name)["nodes"]] != at_home)
    walker.wait_for_proxies()


def grow_and_shrink(walker, name):
    """As far as this can be done from outside: whoever moves the slots is played by this client."""
    broker = walker.broker
    broker.call("PATCH", f"clusters/nodes/{name}", {"node_number": 4})
    walker.wait_for_proxies()
    broker.call("POST", f"clusters/migrations/expand/{name}")
    walker.wait_for_proxies()
    walker.commit_all(name)
    broker.call("POST", f"clusters/migrations/shrink/{name}/4")
    walker.wait_for_proxies()
    walker.commit_all(name)
    broker.call("DELETE", f"clusters/free_nodes/{name}")
    walker.wait_for_proxies()


def leave_and_return(walker):
    broker = walker.broker
    free = walker.random.choice([proxy for proxy in walker.pool if proxy not in walker.used()])
    broker.call("DELETE", f"proxies/meta/{free}")
    check(broker.call("GET", f"proxies/meta/{free}") == {"proxy": None}, f"{free} has left")
    broker.refuses("DELETE", f"proxies/meta/{free}", 404, "PROXY_NOT_FOUND")
    broker.call("POST", "proxies/meta", walker.registration(free))


MODES = {"walk": walk, "ordered": ordered, "compare": compare}


def main(mode, seed, steps, address, *members):
    pool = {}
    for number, member in enumerate(members):
        proxy, nodes = member.split("=")
        pool[proxy] = {"nodes": nodes.split(","), "host": f"host-{number // 2}"}
    MODES[mode](Broker(address), seed, steps, pool)
    print(f"{mode}: all well")


if __name__ == "__main__":
    main(*sys.argv[1:])
