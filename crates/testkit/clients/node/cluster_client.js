// ioredis's cluster client against a cluster: cluster_client.js HOST:PORT… ends with 0 when all went well.
// NODE_PATH must lead to ioredis. It uses the client as an application would and checks every value it reads.
"use strict";

const assert = require("node:assert/strict");
const { Cluster } = require("ioredis");

const KEYS = 600;
// A client that cannot make sense of the cluster tries for ever; this ends it.
const LIMIT_MS = 60_000;

async function singleKeys(client) {
  const numbers = [...Array(KEYS).keys()];
  // All at once: the client pipelines them over its connections.
  await Promise.all(numbers.map((n) => client.set(`js${n}`, `value${n}`)));
  const values = await Promise.all(numbers.map((n) => client.get(`js${n}`)));
  assert.deepEqual(values, numbers.map((n) => `value${n}`));
  assert.equal(await client.get("js:none"), null);
}

async function types(client) {
  await client.rpush("js:list", "a", "b", "c");
  assert.deepEqual(await client.lrange("js:list", 0, -1), ["a", "b", "c"]);
  await client.hset("js:hash", { f: "1", g: "2" });
  assert.deepEqual(await client.hgetall("js:hash"), { f: "1", g: "2" });
  await client.zadd("js:zset", 1.5, "m");
  assert.equal(await client.zscore("js:zset", "m"), "1.5");
  assert.equal(await client.xadd("js:stream", "1-1", "f", "v"), "1-1");
  assert.equal(await client.eval("return redis.call('LLEN', KEYS[1])", 1, "js:list"), 3);
  const binary = Buffer.from([0, 255, 13, 10, 1]);
  await client.set("js:binary", binary);
  assert.deepEqual(await client.getBuffer("js:binary"), binary);
}

async function severalKeys(client) {
  await client.mset("{js}a", "1", "{js}b", "2");
  assert.deepEqual(await client.mget("{js}a", "{js}b", "{js}c"), ["1", "2", null]);
  const pipeline = client.pipeline();
  for (let n = 0; n < 100; n++) {
    pipeline.set(`{js}p${n}`, n).incr(`{js}p${n}`);
  }
  const results = await pipeline.exec();
  const wanted = [...Array(100).keys()].flatMap((n) => [[null, "OK"], [null, n + 1]]);
  assert.deepEqual(results, wanted);
  await assert.rejects(client.mget("js1", "js2"), /CROSSSLOT/);
}

async function wholeCluster(client) {
  const primaries = client.nodes("master");
  assert.ok(primaries.length >= 3, `${primaries.length} primaries`);
  const sizes = await Promise.all(primaries.map((node) => node.dbsize()));
  const all = await Promise.all(primaries.map((node) => node.keys("js*")));
  assert.ok(sizes.every((size) => size > 0), `sizes ${sizes}`);
  assert.ok(new Set(all.flat()).size >= KEYS);
  assert.equal(await client.cluster("KEYSLOT", "foo"), 12182);
}

async function main() {
  const nodes = process.argv.slice(2).map((address) => {
    const [host, port] = address.split(":");
    return { host, port: Number(port) };
  });
  // Each error that the client met with a node and went on after, once.
  const errors = new Set();
  const limit = setTimeout(() => {
    console.error("not done in time", errors);
    process.exit(1);
  }, LIMIT_MS);
  for (const node of nodes) {
    const client = new Cluster([node]);
    client.on("node error", (error) => errors.add(String(error)));
    await singleKeys(client);
    await types(client);
    await severalKeys(client);
    await wholeCluster(client);
    // The next round begins without them.
    await Promise.all(["js:list", "js:stream", "js:zset"].map((key) => client.del(key)));
    await client.quit();
  }
  clearTimeout(limit);
  console.log("ioredis: all well");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
