// Clients that read from replicas: replica_reads.js HOST:PORT… plays a round for each line LIBRARY/MODE on its input,
// says "done" after each, and ends with 0 at the end of the input. NODE_PATH must lead to ioredis and redis.
//
// A round writes keys, reads each back by the client's own choice of node, finds all of them with SCAN and KEYS on
// every primary that the client knows, and removes everything. A client lives through all rounds of its mode.
"use strict";

const assert = require("node:assert/strict");
const readline = require("node:readline");
const { setTimeout: pause } = require("node:timers/promises");
const ioredis = require("ioredis");
const redis = require("redis");

const KEYS = 200;
// Replicas are behind for a moment, and after a failover clients learn of it while they play.
const LIMIT_MS = 20_000;
// A client that cannot make sense of the cluster tries for ever; this ends it.
const END_MS = 120_000;

// What each library is asked in the same words.
function ofIoredis(nodes, mode) {
  const client = new ioredis.Cluster(nodes, { scaleReads: mode });
  client.on("node error", () => {});
  const primaries = () => client.nodes("master");
  return {
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    onPrimaries: (name) => Promise.all(primaries().map((node) => node[name]())),
    keys: () => Promise.all(primaries().map((node) => node.keys("*"))),
    scan: async (all) => {
      for (const node of primaries()) {
        let cursor = "0";
        do {
          const [next, found] = await node.scan(cursor, "COUNT", 50);
          found.forEach((key) => all.add(key));
          cursor = next;
        } while (cursor !== "0");
      }
    },
    end: () => client.disconnect(),
  };
}

async function ofNodeRedis(nodes) {
  const rootNodes = nodes.map(({ host, port }) => ({ url: `redis://${host}:${port}` }));
  const client = redis.createCluster({ rootNodes, useReplicas: true });
  client.on("error", () => {});
  client.on("node-error", () => {});
  await client.connect();
  const primaries = () => Promise.all(client.masters.map((node) => client.nodeClient(node)));
  const names = { flushall: "flushAll", dbsize: "dbSize" };
  return {
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    onPrimaries: async (name) => Promise.all((await primaries()).map((node) => node[names[name]]())),
    keys: async () => Promise.all((await primaries()).map((node) => node.keys("*"))),
    scan: async (all) => {
      for (const node of await primaries()) {
        for await (const found of node.scanIterator({ COUNT: 50 })) {
          [found].flat().forEach((key) => all.add(key));
        }
      }
    },
    end: () => client.destroy(),
  };
}

async function eventually(step) {
  const deadline = Date.now() + LIMIT_MS;
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
      console.error("again after", String(error).slice(0, 200));
      await pause(100);
    }
  }
}

const sum = (numbers) => numbers.reduce((all, number) => all + Number(number), 0);

async function flush(client) {
  await client.onPrimaries("flushall");
  assert.equal(sum(await client.onPrimaries("dbsize")), 0);
}

async function play(client, name) {
  const keys = [...Array(KEYS).keys()].map((number) => `${name}:${number}`);
  await eventually(() => flush(client));
  await eventually(() => Promise.all(keys.map((key) => client.set(key, `of ${key}`))));
  await eventually(async () => {
    const values = await Promise.all(keys.map((key) => client.get(key)));
    assert.deepEqual(values, keys.map((key) => `of ${key}`));
  });
  await eventually(async () => {
    const scanned = new Set();
    await client.scan(scanned);
    assert.deepEqual([...scanned].sort(), [...keys].sort());
    assert.deepEqual((await client.keys()).flat().sort(), [...keys].sort());
    assert.equal(sum(await client.onPrimaries("dbsize")), KEYS);
  });
  await eventually(() => flush(client));
}

async function main() {
  const nodes = process.argv.slice(2).map((address) => {
    const [host, port] = address.split(":");
    return { host, port: Number(port) };
  });
  const end = setTimeout(() => process.exit(1), END_MS);
  const clients = new Map();
  for await (const name of readline.createInterface({ input: process.stdin })) {
    if (!clients.has(name)) {
      const [library, mode] = name.split("/");
      clients.set(name, library === "ioredis" ? ofIoredis(nodes, mode) : await ofNodeRedis(nodes));
    }
    await play(clients.get(name), name);
    console.log("done");
  }
  clients.forEach((client) => client.end());
  clearTimeout(end);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
