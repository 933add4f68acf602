import { describe, expect, test } from "vitest";
import { FakePage, FakeServer } from "./fake-server.js";
import { client, follow, range, world } from "./world.js";

describe("publishing", () => {
  test("goes over the WebSocket while it is up, and over HTTP otherwise", async () => {
    const at = world();
    follow(at.connection, "a");
    await at.server.clock.advance(500);
    const first = at.connection.publish("a", "x", 1);
    await at.server.clock.advance(500);
    expect(await first).toEqual({ cursor: "1f0c93ab-1", offsets: [1], duplicate: false });
    expect(at.server.requests.some((request) => request.includes("publish"))).toBe(false);
    at.server.faults.refused.add("ws");
    at.server.kill();
    const second = at.connection.publishBatch([{ channel: "a" }, { channel: "b", event: "y", data: 2 }]);
    await at.server.clock.advance(2000);
    expect((await second).offsets).toEqual([2, 3]);
    expect(at.server.requests.some((request) => request.startsWith("POST publish"))).toBe(true);
  });

  test("a retry never duplicates, whatever was cut and when", async () => {
    for (let delay = 0; delay < 200; delay += 7) {
      const at = world();
      const received = follow(at.connection, "a");
      await at.server.clock.advance(500);
      const done = at.connection.publish("a", "x", 1);
      await at.server.clock.advance(delay);
      at.server.faults.down = true;
      at.server.kill();
      await at.server.clock.advance(5000);
      at.server.faults.down = false;
      await at.server.clock.advance(40_000);
      expect((await done).offsets).toEqual([1]);
      expect(received.data).toEqual([1]);
    }
  });

  test("without an acknowledgement in time it is rejected with timeout, and not sent any more", async () => {
    const at = world();
    at.server.faults.down = true;
    const done = expect(at.connection.publish("a", "x", 1, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: "timeout",
    });
    await at.server.clock.advance(6000);
    await done;
    at.server.faults.down = false;
    await at.server.clock.advance(60_000);
    expect(at.server.log.tail).toBe(0);
  });

  test("closing the connection rejects what has no acknowledgement", async () => {
    const at = world();
    at.server.faults.down = true;
    const done = expect(at.connection.publish("a", "x", 1)).rejects.toMatchObject({ code: "closed" });
    await at.server.clock.advance(1000);
    at.connection.close();
    await done;
    await at.server.clock.advance(1000);
    expect(at.server.clock.pending).toBe(0);
  });

  test("the caller's own key is used", async () => {
    const at = world();
    const receipts = Promise.all(
      [1, 2].map(() => at.connection.publish("a", "x", 1, { idempotencyKey: "mine" })),
    );
    await at.server.clock.advance(1000);
    expect((await receipts).map((receipt) => receipt.duplicate)).toEqual([false, true]);
  });
});

describe("tokens", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
    test(`on ${transport} an expired token is replaced and delivery goes on from the cursor`, async () => {
      let version = 1;
      const at = world({ transports: [transport], token: async () => `token-${version}` });
      at.server.faults.tokens = new Set(["token-1"]);
      const received = follow(at.connection, "a");
      await at.server.clock.advance(1000);
      at.server.publish("a", 1);
      await at.server.clock.advance(7000);
      version = 2;
      at.server.faults.tokens = new Set(["token-2"]);
      at.server.kill();
      at.server.publish("a", 2);
      await at.server.clock.advance(20_000);
      expect(received.data).toEqual([1, 2]);
      expect(at.connection.status()).toMatchObject({ state: "live", transport });
    });

    test(`on ${transport} a refused token that cannot be replaced ends in failed`, async () => {
      const at = world({ transports: [transport], token: "fixed" });
      at.server.faults.tokens = new Set(["another"]);
      follow(at.connection, "a");
      await at.server.clock.advance(5000);
      expect(at.connection.status()).toMatchObject({ state: "failed", error: { code: "token_unavailable" } });
      const before = at.server.requests.length;
      await at.server.clock.advance(600_000);
      expect(at.server.requests.length).toBe(before);
    });
  }

  test("a warning is answered with a new token over the same WebSocket", async () => {
    let asked = 0;
    const at = world({ token: () => `token-${++asked}` });
    follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.warn();
    await at.server.clock.advance(1000);
    const sent = at.server.frames.filter((frame) => frame.op === "auth").map((frame) => frame.token);
    expect(sent).toEqual(["token-1", "token-2"]);
    expect(at.connection.status().reconnects).toBe(0);
  });

  test("a token function that gives nothing new ends in failed; one that throws is asked again", async () => {
    const none = world({ token: () => null });
    none.server.faults.tokens = new Set(["x"]);
    follow(none.connection, "a");
    await none.server.clock.advance(5000);
    expect(none.connection.status()).toMatchObject({ state: "failed", error: { code: "token_unavailable" } });

    let calls = 0;
    const flaky = world({
      token: () => {
        calls += 1;
        if (calls < 4) throw new Error("the identity provider is away");
        return "x";
      },
    });
    flaky.server.faults.tokens = new Set(["x"]);
    follow(flaky.connection, "a");
    await flaky.server.clock.advance(30_000);
    expect(flaky.connection.status().state).toBe("live");
  });

  test("reconnect() after failed begins anew", async () => {
    let token: string | null = null;
    const at = world({ token: () => token });
    at.server.faults.tokens = new Set(["x"]);
    const received = follow(at.connection, "a", "0");
    at.server.publish("a", 1);
    await at.server.clock.advance(5000);
    token = "x";
    at.connection.reconnect();
    await at.server.clock.advance(1000);
    expect(at.connection.status()).toMatchObject({ state: "live", error: null });
    expect(received.data).toEqual([1]);
  });
});

describe("page and network", () => {
  test("a frozen page holds no connection, and goes on at once when it is resumed", async () => {
    const at = world();
    const received = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.page.fire("freeze");
    expect(at.connection.status().state).toBe("paused");
    expect(at.server.connections.size).toBe(0);
    at.server.publish("a", 1);
    at.server.clock.sleep(3_600_000);
    at.page.fire("resume");
    await at.server.clock.advance(200);
    expect(received.data).toEqual([1]);
    expect(at.connection.status()).toMatchObject({ state: "live", reconnects: 1 });
  });

  test("after a sleep a dead WebSocket is found out within seconds, not after two heartbeats", async () => {
    const at = world();
    const received = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.kill("ws", true);
    at.server.publish("a", 1);
    at.server.clock.sleep(30_000);
    await at.server.clock.advance(9000);
    expect(received.data).toEqual([1]);
  });

  test("coming online ends the back-off", async () => {
    const at = world();
    follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.faults.down = true;
    at.server.kill();
    at.page.fire("offline");
    await at.server.clock.advance(50_000);
    expect(at.connection.status().state).toBe("offline");
    at.server.faults.down = false;
    at.page.fire("online");
    await at.server.clock.advance(200);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "websocket" });
  });

  test("the browser's word that it is offline does not end a connection that works", async () => {
    const at = world();
    const received = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.page.fire("offline");
    await at.server.clock.advance(20_000);
    at.server.publish("a", 1);
    await at.server.clock.advance(100);
    expect(received.data).toEqual([1]);
    expect(at.connection.status()).toMatchObject({ state: "live", reconnects: 0 });
  });
});

describe("status", () => {
  test("tells transport, state, age of the last event and latency", async () => {
    const at = world();
    expect(at.connection.status()).toMatchObject({
      state: "idle",
      transport: null,
      lastEventAt: null,
      latency: null,
    });
    follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.publish("a", 1);
    await at.server.clock.advance(20);
    expect(at.connection.status()).toMatchObject({
      state: "live",
      lastEventAt: at.server.clock.now,
      latency: 40,
    });
    const states = at.statuses.map((status) => status.state);
    expect([...new Set(states)]).toEqual(["connecting", "live"]);
  });

  test("a thousand events are four notices a second at most", async () => {
    const at = world();
    follow(at.connection, "a");
    await at.server.clock.advance(1000);
    const before = at.statuses.length;
    for (let index = 0; index < 1000; index++) {
      at.server.publish("a", index);
      await at.server.clock.advance(1);
    }
    expect(at.statuses.length - before).toBeLessThanOrEqual(5);
  });

  test("the last channel's close ends the connection, the next channel begins it again", async () => {
    const at = world();
    const { channel } = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    channel.close();
    await at.server.clock.advance(1000);
    expect(at.server.connections.size).toBe(0);
    expect(at.connection.status().state).toBe("idle");
    follow(at.connection, "b");
    await at.server.clock.advance(1000);
    expect(at.connection.status().state).toBe("live");
  });

  test("channels that are named in one go share one request", async () => {
    const at = world();
    for (const name of ["a", "b", "c"]) follow(at.connection, name);
    await at.server.clock.advance(1000);
    const subscribes = at.server.frames.filter((frame) => frame.op === "subscribe");
    expect(subscribes.map((frame) => frame.channels)).toEqual([["a", "b", "c"]]);
  });

  test("acknowledges over WebSocket what it has dealt with", async () => {
    const at = world();
    follow(at.connection, "a");
    await at.server.clock.advance(500);
    for (const number of range(1, 3)) at.server.publish("a", number);
    await at.server.clock.advance(2000);
    expect(at.server.frames.filter((frame) => frame.op === "ack").map((frame) => frame.cursor)).toEqual([
      "1f0c93ab-3",
    ]);
  });
});

test("two clients at once disturb each other in nothing", async () => {
  const server = new FakeServer();
  const clients = [client(server, new FakePage()), client(server, new FakePage(), { transports: ["poll"] })];
  const received = clients.map(({ connection }) => follow(connection, "a", "0"));
  for (const number of range(1, 20)) {
    server.publish("a", number);
    await server.clock.advance(300);
  }
  await server.clock.advance(7000);
  for (const one of received) expect(one.data).toEqual(range(1, 20));
});
