import { describe, expect, test } from "vitest";
import { type ConnectOptions, fiveTriesThenPoll, type TransportName } from "../src/index.js";
import { follow, range, type World, world } from "./world.js";

/** Publishes 1, 2, 3 … one a second on channel "a" for so long. */
async function run(at: World, seconds: number, from = 1): Promise<number> {
  let next = from;
  for (let second = 0; second < seconds; second++) {
    at.server.publish("a", next++);
    await at.server.clock.advance(1000);
  }
  return next;
}

const only = (transport: TransportName): ConnectOptions => ({ transports: [transport] });

describe("on each transport", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
    test(`${transport} delivers every event once and in order`, async () => {
      const at = world(only(transport));
      const received = follow(at.connection, "a", "0");
      await at.server.clock.advance(500);
      await run(at, 30);
      await at.server.clock.advance(10_000);
      expect(received.data).toEqual(range(1, 30));
      expect(at.connection.status()).toMatchObject({ state: "live", transport, gaps: 0, error: null });
    });

    test(`${transport} that is cut again and again goes on where it was`, async () => {
      const at = world(only(transport));
      const received = follow(at.connection, "a");
      await at.server.clock.advance(500);
      let next = 1;
      for (let round = 0; round < 10; round++) {
        next = await run(at, 17, next);
        at.server.publish("a", next++);
        at.server.kill();
      }
      await at.server.clock.advance(60_000);
      expect(received.data).toEqual(range(1, next - 1));
    });

    test(`${transport} that is idle when it is cut loses nothing of what comes while it is away`, async () => {
      const at = world(only(transport));
      for (let old = 1; old <= 3; old++) at.server.publish("a", -old);
      const received = follow(at.connection, "a");
      await at.server.clock.advance(30_000);
      at.server.kill();
      at.server.publish("a", 1);
      await at.server.clock.advance(40_000);
      expect(received.data).toEqual([1]);
    });

    test(`${transport} comes back after an outage of five minutes`, async () => {
      const at = world(only(transport));
      const received = follow(at.connection, "a");
      await at.server.clock.advance(1000);
      at.server.faults.down = true;
      at.server.kill();
      await at.server.clock.advance(150_000);
      expect(at.connection.status().state).toBe("reconnecting");
      at.server.publish("a", 1);
      await at.server.clock.advance(150_000);
      at.server.faults.down = false;
      await at.server.clock.advance(31_000);
      expect(received.data).toEqual([1]);
      expect(at.connection.status()).toMatchObject({ state: "live", transport });
    });

    test(`${transport} whose peer vanishes in silence is given up after two heartbeat intervals`, async () => {
      const at = world(only(transport));
      const received = follow(at.connection, "a");
      await at.server.clock.advance(1000);
      at.server.kill(undefined, true);
      at.server.publish("a", 1);
      await at.server.clock.advance(60_000);
      expect(received.data).toEqual([1]);
    });
  }
});

describe("down on evidence", () => {
  test("a refused WebSocket moves to SSE within a second", async () => {
    const at = world();
    at.server.faults.refused.add("ws");
    const received = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.publish("a", 1);
    await at.server.clock.advance(100);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "sse" });
    expect(received.data).toEqual([1]);
  });

  test("a WebSocket that is closed twice before anything arrives moves to SSE", async () => {
    const at = world();
    at.server.faults.closedEarly.add("ws");
    follow(at.connection, "a");
    await at.server.clock.advance(5000);
    expect(at.connection.status().transport).toBe("sse");
    expect(at.server.requests.filter((request) => request === "GET ws").length).toBeGreaterThanOrEqual(2);
  });

  test("a WebSocket that opens and stays silent moves to SSE", async () => {
    const at = world();
    at.server.faults.silent.add("ws");
    follow(at.connection, "a");
    await at.server.clock.advance(8000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "sse" });
  });

  test("SSE whose first block does not come within seconds is buffered, and long-poll takes over", async () => {
    const at = world({ transports: ["sse", "long-poll", "poll"] });
    at.server.faults.silent.add("sse");
    const received = follow(at.connection, "a", "0");
    at.server.publish("a", 1);
    await at.server.clock.advance(8000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "long-poll" });
    expect(received.data).toEqual([1]);
  });

  test("SSE that begins to be buffered while it is live is left without losing an event", async () => {
    const at = world({ transports: ["sse", "long-poll", "poll"] });
    const received = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.faults.silent.add("sse");
    const next = await run(at, 70);
    expect(at.connection.status().transport).toBe("long-poll");
    expect(received.data).toEqual(range(1, next - 1));
  });

  for (const transport of ["long-poll", "poll"] as const) {
    test(`an answer to ${transport} that stalls behind its head is given up, and asked for again`, async () => {
      const at = world({ transports: [transport] });
      const received = follow(at.connection, "a", "0");
      await at.server.clock.advance(1000);
      at.server.faults.stalled.add(transport);
      const next = await run(at, 20);
      expect(received.data.length).toBeLessThan(next - 1);
      at.server.faults.stalled.clear();
      await at.server.clock.advance(120_000);
      expect(at.connection.status()).toMatchObject({ state: "live", transport });
      expect(received.data).toEqual(range(1, next - 1));
    });
  }

  test("with everything but polling blocked it polls", async () => {
    const at = world();
    for (const path of ["ws", "sse", "long-poll"] as const) at.server.faults.blocked.add(path);
    const received = follow(at.connection, "a");
    await at.server.clock.advance(10_000);
    const next = await run(at, 30);
    await at.server.clock.advance(7000);
    expect(at.connection.status().transport).toBe("poll");
    expect(received.data).toEqual(range(1, next - 1));
  });

  test("transports that the server calls blocked are left even where polling is blocked too", async () => {
    const at = world();
    for (const path of ["ws", "poll", "long-poll"] as const) at.server.faults.blocked.add(path);
    follow(at.connection, "a", "0");
    await at.server.clock.advance(5000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "sse" });
  });
});

describe("an outage is no evidence", () => {
  test("after a restart the client is back on WebSocket and never left it", async () => {
    const at = world();
    const received = follow(at.connection, "a");
    await at.server.clock.advance(1000);
    at.server.faults.down = true;
    at.server.kill();
    at.server.publish("a", 1);
    await at.server.clock.advance(20_000);
    at.server.faults.down = false;
    await at.server.clock.advance(31_000);
    expect(received.data).toEqual([1]);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "websocket", reconnects: 1 });
    expect(at.server.requests.some((request) => request.includes("sse"))).toBe(false);
  });

  test("a server that comes back between the attempt and the plain request is not mistaken for a blocked transport", async () => {
    const at = world();
    follow(at.connection, "a");
    await at.server.clock.advance(10_000);
    at.server.faults.down = true;
    at.server.kill();
    while (!at.server.requests.at(-1)?.includes("poll")) {
      // The moment a plain request goes out, the server is there.
      await at.server.clock.advance(1);
    }
    at.server.faults.down = false;
    await at.server.clock.advance(2000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "websocket" });
    expect(at.server.requests.some((request) => request.includes("sse"))).toBe(false);
  });

  test("a client that had moved down is back on the best transport soon after an outage", async () => {
    const at = world();
    at.server.faults.refused.add("ws");
    follow(at.connection, "a");
    await at.server.clock.advance(2000);
    expect(at.connection.status().transport).toBe("sse");
    at.server.faults.down = true;
    at.server.kill();
    await at.server.clock.advance(60_000);
    at.server.faults.down = false;
    at.server.faults.refused.clear();
    await at.server.clock.advance(31_000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "websocket" });
  });

  test("it pauses 1, 2, 4, 8, 16 and 30 s and goes on like that", async () => {
    const at = world({ policy: { jitter: 0 } });
    at.server.faults.down = true;
    follow(at.connection, "a");
    await at.server.clock.advance(130_000);
    const waits = at.statuses.filter((status) => status.retryAt !== null).map((status) => status.attempt);
    expect(waits).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const opened = at.statuses
      .filter((status) => status.retryAt !== null)
      .map((status) => status.retryAt ?? 0);
    const pauses = opened.slice(1).map((time, index) => Math.round((time - (opened[index] ?? 0)) / 1000));
    expect(pauses).toEqual([2, 4, 8, 16, 30, 30, 30, 30]);
  });

  test("it gives up only when told to, and says so", async () => {
    const at = world({ policy: { maxAttempts: 3 } });
    at.server.faults.down = true;
    follow(at.connection, "a", "0");
    await at.server.clock.advance(60_000);
    expect(at.connection.status()).toMatchObject({ state: "failed", error: { code: "gave_up" } });
    at.server.faults.down = false;
    at.connection.reconnect();
    await at.server.clock.advance(1000);
    expect(at.connection.status()).toMatchObject({ state: "live", error: null });
  });

  test("it comes back when the goodbye says, not earlier", async () => {
    for (const transport of ["websocket", "sse"] as const) {
      const at = world(only(transport));
      follow(at.connection, "a");
      await at.server.clock.advance(1000);
      const before = at.server.requests.length;
      at.server.goodbye(3200);
      await at.server.clock.advance(3100);
      expect(at.server.requests.length).toBe(before);
      await at.server.clock.advance(300);
      expect(at.connection.status()).toMatchObject({ state: "live", transport, reconnects: 1 });
    }
  });

  test("it obeys Retry-After", async () => {
    const at = world(only("sse"));
    at.server.faults.retryAfterSeconds = 7;
    follow(at.connection, "a");
    await at.server.clock.advance(1000);
    const before = at.server.requests.length;
    at.server.faults.retryAfterSeconds = null;
    await at.server.clock.advance(5900);
    expect(at.server.requests.length).toBe(before);
    await at.server.clock.advance(500);
    expect(at.connection.status().state).toBe("live");
  });
});

describe("up by probing", () => {
  test("it returns to WebSocket when the block is lifted, and nothing is lost or repeated on the way", async () => {
    const at = world();
    at.server.faults.refused.add("ws");
    const received = follow(at.connection, "a");
    await at.server.clock.advance(2000);
    let next = await run(at, 5);
    at.server.faults.refused.clear();
    next = await run(at, 10, next);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "websocket" });
    expect(received.data).toEqual(range(1, next - 1));
    expect(at.server.open("sse")).toBe(0);
  });

  test("old and new overlap: the old one is open until the new one delivers", async () => {
    const at = world();
    at.server.faults.refused.add("ws");
    follow(at.connection, "a");
    await at.server.clock.advance(2000);
    at.server.faults.refused.clear();
    let both = false;
    for (let tick = 0; tick < 1200; tick++) {
      await at.server.clock.advance(10);
      both ||= at.server.open("sse") === 1 && at.server.open("ws") === 1;
      expect(at.server.open("sse") + at.server.open("ws")).toBeGreaterThanOrEqual(1);
    }
    expect(both).toBe(true);
    expect(at.connection.status().transport).toBe("websocket");
  });

  test("probes come after 10, 20, 40, 60 and 60 s", async () => {
    const at = world();
    at.server.faults.refused.add("ws");
    follow(at.connection, "a");
    await at.server.clock.advance(2000);
    const times: number[] = [];
    let seen = at.server.requests.filter((request) => request === "GET ws").length;
    for (let second = 0; second < 200; second++) {
      await at.server.clock.advance(1000);
      const now = at.server.requests.filter((request) => request === "GET ws").length;
      if (now > seen) times.push(second);
      seen = now;
    }
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses).toEqual([20, 40, 60, 60]);
  });

  test("it climbs in steps when only part of the block is lifted", async () => {
    const at = world();
    for (const path of ["ws", "sse", "long-poll"] as const) at.server.faults.blocked.add(path);
    follow(at.connection, "a");
    await at.server.clock.advance(8000);
    expect(at.connection.status().transport).toBe("poll");
    at.server.faults.blocked.delete("sse");
    await at.server.clock.advance(40_000);
    expect(at.connection.status().transport).toBe("sse");
    at.server.faults.blocked.clear();
    await at.server.clock.advance(61_000);
    expect(at.connection.status().transport).toBe("websocket");
  });

  test("a channel that begins at the tail while old and new overlap has no hole", async () => {
    for (const seed of range(1, 150)) {
      const at = world({ transports: ["websocket", seed % 2 ? "sse" : "long-poll"] }, seed);
      at.server.faults.refused.add("ws");
      follow(at.connection, "a");
      await at.server.clock.advance(5000);
      expect(at.connection.status().state).toBe("live");
      at.server.faults.refused.clear();
      const { random } = at.server;
      at.server.faults.latencyMs = () => 1 + random() ** 4 * 600;
      at.page.fire("online"); // the probe begins
      await at.server.clock.advance(random() * 60);
      const received = follow(at.connection, "b");
      for (const number of range(1, 100)) {
        at.server.publish("b", number);
        await at.server.clock.advance(5);
      }
      await at.server.clock.advance(20_000);
      expect(at.connection.status().transport).toBe("websocket");
      expect(received.data).toEqual(range(Number(received.data[0]), 100));
    }
  });

  test("the browser's online event probes at once", async () => {
    const at = world();
    at.server.faults.refused.add("ws");
    follow(at.connection, "a");
    await at.server.clock.advance(40_000);
    at.server.faults.refused.clear();
    at.page.fire("offline");
    at.page.fire("online");
    await at.server.clock.advance(500);
    expect(at.connection.status().transport).toBe("websocket");
  });
});

describe("five tries, then polling", () => {
  test("SSE is tried after 1, 2, 4, 8 and 16 s, then it polls, then SSE is probed every 30 s", async () => {
    const at = world({ policy: fiveTriesThenPoll });
    at.server.faults.refused.add("sse");
    const received = follow(at.connection, "a", "0");
    await at.server.clock.advance(30_000);
    const pauses = at.statuses.filter((status) => status.retryAt !== null).map((status) => status.attempt);
    expect(pauses).toEqual([1, 2, 3, 4, 5]);
    await at.server.clock.advance(3000);
    at.server.publish("a", 1);
    await at.server.clock.advance(6000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "poll" });
    expect(received.data).toEqual([1]);
    at.server.faults.refused.clear();
    await at.server.clock.advance(31_000);
    expect(at.connection.status()).toMatchObject({ state: "live", transport: "sse" });
  });
});
