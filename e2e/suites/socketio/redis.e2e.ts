/**
 * Back ends that publish through Redis, as they are: `@socket.io/redis-emitter` and python-socketio's
 * write-only `RedisManager`, through the real redis-server. What they emit stands in the log, once and in
 * order, whatever happens to either side.
 */
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { readAll } from "../../harness/log.ts";
import { runPython } from "../../harness/python.ts";
import { Redis } from "../../harness/redis.ts";

const MANY = 2000;

let redis: Redis;
let server: Server;
let client: ReturnType<typeof createClient>;

beforeAll(async () => {
  redis = await Redis.start();
  const config = `[socketio.redis]\nurl = "${redis.url}"\nretry_ms_max = 500\n[limits]\nmessage_bytes_max = 100000\n`;
  server = await Server.start({ config });
  client = createClient({ url: redis.url, socket: { reconnectStrategy: 100 } });
  client.on("error", () => {});
  await client.connect();
});

afterAll(async () => {
  client?.destroy();
  await server?.dispose();
  await redis?.stop();
});

/** A figure of the listener. */
async function figure(name: string): Promise<number> {
  const page = await (await fetch(`${server.url}/metrics`)).text();
  const value = new RegExp(`^anywire_emitters_${name} (\\d+)$`, "m").exec(page)?.[1];
  if (value === undefined) throw new Error(`no anywire_emitters_${name} in /metrics`);
  return Number(value);
}

const listens = () => until("the server listens to Redis", async () => (await figure("connected")) === 1);

beforeEach(async () => {
  await listens();
});

/** What stands on a channel, once there are so many events. */
async function events(channel: string, count: number): Promise<[string, unknown][]> {
  const all = await until(`${count} events stand on ${channel}`, async () => {
    const { events } = await readAll(server.url, channel);
    return events.length >= count ? events : null;
  });
  return all.map(({ event, data }) => [event, data]);
}

describe("@socket.io/redis-emitter", () => {
  test("an event for a room is an event of the room's channel, with its name and data", async () => {
    const emitter = new Emitter(client);
    const data = {
      id: 1,
      text: "tin mới ✓",
      nested: [1.5, -2, null, true, { big: 2 ** 40 }],
      at: new Date(0),
    };
    emitter.to("news").emit("created", data);
    emitter.of("/chat").to(["news", "sport"]).emit("moved", "a", 2);
    emitter.to("sport").emit("nothing");
    expect(await events("news", 2)).toEqual([
      ["created", JSON.parse(JSON.stringify(data))],
      ["moved", { $args: ["a", 2] }],
    ]);
    expect(await events("sport", 2)).toEqual([
      ["moved", { $args: ["a", 2] }],
      ["nothing", { $args: [] }],
    ]);
  });

  test("an event for everybody goes to the namespace's own channel", async () => {
    const emitter = new Emitter(client);
    emitter.emit("all", 1);
    emitter.of("/chat").volatile.emit("all", 2);
    expect(await events("broadcast:/", 1)).toEqual([["all", 1]]);
    expect(await events("broadcast:/chat", 1)).toEqual([["all", 2]]);
  });

  test("bytes alone stay bytes, and bytes within other data are marked", async () => {
    const emitter = new Emitter(client);
    emitter.to("bytes-within").emit("files", { name: "a", file: Buffer.from([0, 1, 2]) });
    expect(await events("bytes-within", 1)).toEqual([["files", { name: "a", file: { $binary: "AAEC" } }]]);
    emitter.to("bytes").emit("file", Buffer.from([0, 1, 2, 255]));
    const { events: found } = await until("the bytes stand there", async () => {
      const page = await readAll(server.url, "bytes");
      return page.events.length > 0 ? page : null;
    });
    expect(found[0]).toMatchObject({ event: "file", encoding: "base64", data: "AAEC/w==" });
  });

  test("what cannot be published is counted, and what follows goes on", async () => {
    const before = await figure("refused_total");
    const emitter = new Emitter(client);
    emitter.to("jobs").emit("forged", {});
    emitter.to("$overview").emit("forged", {});
    emitter.to("a,b").emit("no-name", {});
    emitter.to("refusals").except("somebody").emit("left-out", {});
    emitter.to("refusals").emit("large", "x".repeat(100_001));
    await client.publish("socket.io#/#", "not MessagePack");
    emitter.to("refusals").emit("fine", 1);
    expect(await events("refusals", 1)).toEqual([["fine", 1]]);
    expect((await figure("refused_total")) - before).toBe(6);
  });

  test(`${MANY} events arrive once each and in order`, async () => {
    const emitter = new Emitter(client);
    for (let number = 0; number < MANY; number += 1) emitter.to("many").emit("n", number);
    expect((await events("many", MANY)).map(([, data]) => data)).toEqual([...Array(MANY).keys()]);
  });
});

describe("python-socketio's write-only RedisManager", () => {
  test("an event for a room is an event of the room's channel, with its name and data", async () => {
    await runPython(
      `
import sys, socketio
manager = socketio.RedisManager(sys.argv[1], write_only=True)
manager.emit("created", {"id": 1, "text": "tin mới ✓", "nested": [1.5, None, True]}, room="py")
manager.emit("moved", ("a", 2), to="py", namespace="/chat")
manager.emit("listed", [1, 2], room="py")
manager.emit("nothing", None, room=["py", "py-2"])
manager.emit("file", b"\\x00\\x01\\xff", room="py-bytes")
manager.emit("files", {"name": "a", "file": b"\\x00\\x01\\x02"}, room="py-within")
manager.emit("all", 1)
`,
      [redis.url],
    );
    expect(await events("py", 4)).toEqual([
      ["created", { id: 1, text: "tin mới ✓", nested: [1.5, null, true] }],
      ["moved", { $args: ["a", 2] }],
      ["listed", [1, 2]],
      ["nothing", { $args: [] }],
    ]);
    expect(await events("py-2", 1)).toEqual([["nothing", { $args: [] }]]);
    const { events: bytes } = await readAll(server.url, "py-bytes");
    expect(bytes[0]).toMatchObject({ event: "file", encoding: "base64", data: "AAH/" });
    expect(await events("py-within", 1)).toEqual([["files", { name: "a", file: { $binary: "AAEC" } }]]);
    expect((await events("broadcast:/", 1)).at(-1)).toEqual(["all", 1]);
  });

  test("what old versions pickled is read, and nothing in it is run", async () => {
    const before = await figure("refused_total");
    await runPython(
      `
import pickle, sys, redis
to = redis.Redis.from_url(sys.argv[1])
def send(data, protocol):
    message = {"method": "emit", "event": "old", "data": data, "namespace": "/", "room": "pickled",
               "skip_sid": None, "callback": None, "host_id": "0" * 32}
    to.publish("socketio", pickle.dumps(message, protocol=protocol))
for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
    send({"protocol": protocol, "text": "cũ"}, protocol)
class Call:
    def __reduce__(self):
        return (exec, ("raise SystemExit",))
send(Call(), 4)
send((1, "two"), 4)
`,
      [redis.url],
    );
    const found = await events("pickled", 5);
    expect(found.slice(0, 4).map(([, data]) => data)).toEqual(
      [2, 3, 4, 5].map((protocol) => ({ protocol, text: "cũ" })),
    );
    expect(found[4]).toEqual(["old", { $args: [1, "two"] }]);
    expect((await figure("refused_total")) - before).toBe(1);
  });
});

describe("when one side goes away", () => {
  test("a server that stops and comes back listens again", async () => {
    await server.stop();
    await server.boot();
    await listens();
    new Emitter(client).to("after-server").emit("back", 1);
    expect(await events("after-server", 1)).toEqual([["back", 1]]);
  });

  test("a Redis that comes back is listened to again, and the loss is counted", async () => {
    const before = await figure("connections_lost_total");
    await redis.stop();
    await until("the server notices", async () => (await figure("connected")) === 0);
    expect(await figure("connections_lost_total")).toBeGreaterThan(before);
    await redis.boot();
    await listens();
    await until("the emitter's client is back", () => client.isReady);
    new Emitter(client).to("after-redis").emit("back", 1);
    expect(await events("after-redis", 1)).toEqual([["back", 1]]);
  });

  test("a server starts without a Redis, and says that it does not listen", async () => {
    const lonely = await Server.start({ config: '[socketio.redis]\nurl = "redis://127.0.0.1:1/0"\n' });
    const page = await (await fetch(`${lonely.url}/metrics`)).text();
    expect(page).toContain("anywire_emitters_connected 0");
    await until("the log says why", () => lonely.log.includes("no connection to socketio.redis.url"));
    await lonely.dispose();
  });
});
