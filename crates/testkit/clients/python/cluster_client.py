"""redis-py's cluster client against a cluster: cluster_client.py HOST:PORT… ends with 0 when all went well.

It uses the client as an application would and checks every value that it reads.
"""

import sys

from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException, ResponseError

KEYS = 600


def expect(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"{what}: expected {wanted!r}, got {got!r}")


def single_keys(client, prefix):
    for number in range(KEYS):
        expect("SET", client.set(f"{prefix}{number}", f"value{number}"), True)
    for number in range(KEYS):
        expect("GET", client.get(f"{prefix}{number}"), f"value{number}".encode())
    expect("GET of nothing", client.get(f"{prefix}none"), None)


def types(client, prefix):
    client.rpush(f"{prefix}list", "a", "b", "c")
    expect("LRANGE", client.lrange(f"{prefix}list", 0, -1), [b"a", b"b", b"c"])
    client.hset(f"{prefix}hash", mapping={"f": "1", "g": "2"})
    expect("HGETALL", client.hgetall(f"{prefix}hash"), {b"f": b"1", b"g": b"2"})
    client.sadd(f"{prefix}set", "x", "y")
    expect("SMEMBERS", set(client.smembers(f"{prefix}set")), {b"x", b"y"})
    client.zadd(f"{prefix}zset", {"m": 1.5, "n": 2})
    expect("ZSCORE", client.zscore(f"{prefix}zset", "m"), 1.5)
    expect("XADD", client.xadd(f"{prefix}stream", {"f": "v"}, id="1-1"), b"1-1")
    expect("XLEN", client.xlen(f"{prefix}stream"), 1)
    expect("EVAL", client.eval("return redis.call('LLEN', KEYS[1])", 1, f"{prefix}list"), 3)
    expect("INCR", client.incr(f"{prefix}counter"), 1)
    expect("EXPIRE", bool(client.expire(f"{prefix}counter", 100)), True)
    ttl = client.ttl(f"{prefix}counter")
    expect("TTL", 0 < ttl <= 100, True)


def several_keys(client, prefix):
    tag = f"{{{prefix}tag}}"
    client.mset({f"{tag}{number}": number for number in range(20)})
    got = client.mget([f"{tag}{number}" for number in range(20)])
    expect("MGET", got, [str(number).encode() for number in range(20)])
    got = client.mget_nonatomic([f"{prefix}{number}" for number in range(KEYS)])
    expect("MGET over slots", got, [f"value{number}".encode() for number in range(KEYS)])
    expect("DEL over slots", client.delete(*[f"{prefix}{number}" for number in range(10)]), 10)
    try:
        client.execute_command("MGET", "a", "b", target_nodes=client.get_random_node())
    except (ResponseError, RedisClusterException) as error:
        expect("two slots", "slot" in str(error).lower(), True)
    else:
        raise SystemExit("MGET of two slots was not refused")


def pipelines(client, prefix):
    pipe = client.pipeline()
    for number in range(200):
        pipe.set(f"{prefix}pipe{number}", number)
        pipe.incr(f"{prefix}pipe{number}")
    wanted = [value for number in range(200) for value in (True, number + 1)]
    expect("pipeline", pipe.execute(), wanted)


def whole_cluster(client, prefix):
    expect("primaries", len(client.get_primaries()), len(sys.argv) - 1)
    expect("the state", client.cluster_info(target_nodes=client.get_random_node())["cluster_state"], "ok")
    found = set(client.scan_iter(match=f"{prefix}pipe*", count=100))
    expect("SCAN over the cluster", found, {f"{prefix}pipe{number}".encode() for number in range(200)})
    expect("PING of every node", client.ping(target_nodes=RedisCluster.ALL_NODES), True)
    expect("KEYSLOT", client.cluster_keyslot("foo"), 12182)


def play(client, prefix):
    single_keys(client, prefix)
    types(client, prefix)
    several_keys(client, prefix)
    pipelines(client, prefix)
    whole_cluster(client, prefix)
    client.close()


def main():
    nodes = [ClusterNode(*address.rsplit(":", 1)) for address in sys.argv[1:]]
    for protocol in (2, 3):
        play(RedisCluster(startup_nodes=nodes, protocol=protocol), f"py{protocol}:")
    # Each address alone must be enough to find the others.
    for node in nodes:
        client = RedisCluster(startup_nodes=[node])
        expect("GET", client.get("py2:300"), b"value300")
        client.close()
    print("redis-py: all well")


main()
