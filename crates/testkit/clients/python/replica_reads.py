"""Clients that read from replicas: replica_reads.py HOST:PORT… plays a round for each line LIBRARY/MODE on its input,
says "done" after each, and ends with 0 at the end of the input.

A round writes keys, reads each back by the client's own choice of node, finds all of them with SCAN and KEYS over the
cluster, and removes everything. A client lives through all rounds of its mode.
"""

import asyncio
import sys
import time
import warnings

import coredis
import redis.cluster
import valkey.cluster

KEYS = 200
# Replicas are behind for a moment, and after a failover clients learn of it while they play.
SECONDS = 20


class Differs(Exception):
    """Something is not as it should be, yet."""


def expect(what, got, wanted):
    if got != wanted:
        raise Differs(f"{what}: expected {str(wanted)[:200]}, got {str(got)[:200]}")


def names(mode):
    return {f"{mode}:{number}".encode(): str(number).encode() for number in range(KEYS)}


class Plain:
    """redis-py and valkey-py, which came from it."""

    def __init__(self, module, nodes, options):
        nodes = [module.ClusterNode(*address.rsplit(":", 1)) for address in nodes]
        client = getattr(module, "RedisCluster", None) or module.ValkeyCluster
        self.all = client.PRIMARIES
        self.client = client(startup_nodes=nodes, **options)

    def write(self, keys):
        for key, value in keys.items():
            expect("SET", self.client.set(key, value), True)

    def read(self, keys):
        for key, value in keys.items():
            expect(f"GET {key}", self.client.get(key), value)

    def find(self, keys):
        expect("SCAN", set(self.client.scan_iter(count=50)), set(keys))
        expect("KEYS", set(self.client.keys("*", target_nodes=self.all)), set(keys))
        expect("DBSIZE", self.client.dbsize(target_nodes=self.all), len(keys))

    def flush(self):
        said = self.client.flushall(target_nodes=self.all)
        # One primary answers for itself.
        expect("FLUSHALL", set(said.values() if isinstance(said, dict) else [said]), {True})
        expect("DBSIZE", self.client.dbsize(target_nodes=self.all), 0)


class Coredis:
    def __init__(self, nodes):
        from coredis.connection import TCPLocation

        self.loop = asyncio.new_event_loop()
        nodes = [TCPLocation(host, int(port)) for host, port in (node.rsplit(":", 1) for node in nodes)]
        self.client = coredis.RedisCluster(startup_nodes=nodes, read_from_replicas=True)
        # Its connections belong to one task: everything runs in that.
        self.asked, self.answers = asyncio.Queue(), asyncio.Queue()
        self.task = self.loop.create_task(self.serve())

    async def serve(self):
        async with self.client as client:
            while True:
                step = await self.asked.get()
                try:
                    await self.answers.put((await step(client), None))
                except Exception as error:
                    await self.answers.put((None, error))

    def run(self, step):
        async def ask():
            await self.asked.put(step)
            answer = asyncio.ensure_future(self.answers.get())
            await asyncio.wait([answer, self.task], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.task.result()
            return answer.result()

        _, error = self.loop.run_until_complete(ask())
        if error:
            raise error

    def write(self, keys):
        async def step(client):
            for key, value in keys.items():
                expect("SET", await client.set(key, value), True)

        self.run(step)

    def read(self, keys):
        async def step(client):
            for key, value in keys.items():
                expect(f"GET {key}", await client.get(key), value)

        self.run(step)

    def find(self, keys):
        async def step(client):
            expect("SCAN", {key async for key in client.scan_iter(count=50)}, set(keys))
            expect("KEYS", sorted(await client.keys("*")), sorted(keys))

        self.run(step)

    def flush(self):
        async def step(client):
            expect("FLUSHALL", await client.flushall(), True)
            expect("KEYS", set(await client.keys("*")), set())

        self.run(step)


def client(name, nodes):
    library, mode = name.split("/")
    if library == "coredis":
        return Coredis(nodes)
    module = {"redis": redis.cluster, "valkey": valkey.cluster}[library]
    if mode == "read_from_replicas":
        return Plain(module, nodes, {"read_from_replicas": True})
    strategy = module.LoadBalancingStrategy(mode)
    return Plain(module, nodes, {"load_balancing_strategy": strategy})


def eventually(step, *args):
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return step(*args)
        except Exception as error:
            if time.monotonic() > deadline:
                raise
            last = f"{type(error).__name__}: {error}"
            print(f"again after {last}", file=sys.stderr)
            time.sleep(0.1)


def main():
    # The older of two names for one thing.
    warnings.simplefilter("ignore")
    clients = {}
    for line in sys.stdin:
        name = line.strip()
        played = clients.get(name) or clients.setdefault(name, client(name, sys.argv[1:]))
        keys = names(name)
        eventually(played.flush)
        eventually(played.write, keys)
        eventually(played.read, keys)
        eventually(played.find, keys)
        eventually(played.flush)
        print("done", flush=True)


main()
