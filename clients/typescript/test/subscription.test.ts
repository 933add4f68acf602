import { describe, expect, test } from "vitest";
import { AnywireError } from "../src/index.js";
import { follow, range, world } from "./world.js";

describe("where a subscription starts", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
    test(`tail, "0" and a cursor side by side on ${transport}`, async () => {
      const at = world({ transports: [transport] });
      for (const number of range(1, 10)) at.server.publish("a", number);
      const all = follow(at.connection, "a", "0");
      const some = follow(at.connection, "a", at.server.log.cursor(6));
      const other = follow(at.connection, "b");
      await at.server.clock.advance(1000);
      const tail = follow(at.connection, "a");
      at.server.publish("b", 1);
      at.server.publish("a", 11);
      await at.server.clock.advance(7000);
      expect(all.data).toEqual(range(1, 11));
      expect(some.data).toEqual(range(7, 11));
      expect(tail.data).toEqual([11]);
      expect(other.data).toEqual([1]);
    });

    test(`a channel that is subscribed later on ${transport} does not disturb the others`, async () => {
      const at = world({ transports: [transport] });
      const first = follow(at.connection, "a");
      await at.server.clock.advance(1000);
      for (const number of range(1, 5)) {
        at.server.publish("a", number);
        at.server.publish("b", number);
      }
      await at.server.clock.advance(7000);
      const second = follow(at.connection, "b", at.server.log.cursor(0));
      const again = follow(at.connection, "a", "0");
      at.server.publish("a", 6);
      await at.server.clock.advance(10);
      at.server.publish("a", 7);
      await at.server.clock.advance(7000);
      expect(first.data).toEqual(range(1, 7));
      expect(again.data).toEqual(range(1, 7));
      expect(second.data).toEqual(range(1, 5));
    });
  }

  test("a text that is no cursor is refused where it is given", () => {
    const { connection } = world();
    for (const after of ["", "abc", "1f0c93ab-", "1f0c93ab-01", "1F0C93AB-1", "1f0c93ab-9007199254740992"]) {
      expect(() => connection.channel("a", { after })).toThrow(
        expect.objectContaining({ code: "invalid_cursor" }),
      );
    }
    for (const name of ["", "a b", "a,b", "a\u0000"]) {
      expect(() => connection.channel(name)).toThrow(expect.objectContaining({ code: "invalid_channel" }));
    }
  });

  test("the cursor of a subscription goes on exactly behind what was delivered", async () => {
    const at = world();
    for (const number of range(1, 4)) at.server.publish("a", number);
    const first = follow(at.connection, "a", "0");
    expect(first.channel.cursor).toBe("0");
    await at.server.clock.advance(500);
    expect(first.channel.cursor).toBe(at.server.log.cursor(4));
    const cursor = first.channel.cursor ?? "";
    first.channel.close();
    at.server.publish("a", 5);
    const second = follow(at.connection, "a", cursor);
    await at.server.clock.advance(500);
    expect(second.data).toEqual([5]);
  });
});

describe("handlers", () => {
  test("are called by event name, with data and event, and not after close", async () => {
    const at = world();
    const seen: unknown[] = [];
    const channel = at.connection
      .channel("a")
      .on("created", (data, event) => seen.push(["created", data, event.cursor]))
      .on("*", (data, event) => seen.push(["*", event.event, data]));
    await at.server.clock.advance(500);
    at.server.publish("a", { id: 1 }, "created");
    at.server.publish("a", 2, "other");
    await at.server.clock.advance(500);
    expect(seen).toEqual([
      ["created", { id: 1 }, "1f0c93ab-1"],
      ["*", "created", { id: 1 }],
      ["*", "other", 2],
    ]);
    channel.close();
    at.server.publish("a", 3, "created");
    await at.server.clock.advance(500);
    expect(seen.length).toBe(3);
    expect(channel.isClosed).toBe(true);
  });

  test("that throw don't stop the others, and the error is not swallowed", async () => {
    const at = world();
    const seen: unknown[] = [];
    const boom = new Error("a bug in the application");
    at.connection
      .channel("a")
      .on("*", () => {
        throw boom;
      })
      .on("*", (data) => seen.push(data));
    await at.server.clock.advance(500);
    at.server.publish("a", 1);
    await expect(at.server.clock.advance(500)).rejects.toBe(boom);
    await at.server.clock.advance(500);
    expect(seen).toEqual([1]);
  });

  test("may close the connection in the middle of a burst", async () => {
    for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
      const at = world({ transports: [transport] });
      for (const number of range(1, 5)) at.server.publish("a", number);
      const seen: unknown[] = [];
      at.connection.channel("a", { after: "0" }).on("*", (data) => {
        seen.push(data);
        if (data === 3) at.connection.close();
      });
      await at.server.clock.advance(60_000);
      expect(seen).toEqual([1, 2, 3]);
      expect(at.connection.status().state).toBe("closed");
      expect(at.server.connections.size).toBe(0);
      expect(at.server.clock.pending).toBe(0);
    }
  });

  test("bytes arrive as bytes", async () => {
    const at = world();
    const bytes = Uint8Array.from(range(0, 255));
    const received = follow(at.connection, "a");
    await at.server.clock.advance(500);
    void at.connection.publish("a", "x", bytes);
    await at.server.clock.advance(500);
    expect(received.data).toEqual([bytes]);
  });
});

describe("gaps", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
    test(`on ${transport} a gap names what each channel lost, and delivery goes on`, async () => {
      const at = world({ transports: [transport] });
      for (const number of range(1, 10)) at.server.publish(number % 2 ? "a" : "b", number);
      at.server.log.trim("a", 5);
      const a = follow(at.connection, "a", at.server.log.cursor(1));
      const b = follow(at.connection, "b", at.server.log.cursor(2));
      await at.server.clock.advance(2000);
      expect(a.gaps).toEqual([
        { channel: "a", from: "1f0c93ab-1", to: "1f0c93ab-5", reason: "trimmed", lost: 5 },
      ]);
      expect(a.data).toEqual([7, 9]);
      expect(b.gaps).toEqual([]);
      expect(b.data).toEqual([4, 6, 8, 10]);
      expect(at.connection.status().gaps).toBe(1);
    });

    test(`on ${transport} a log that was replaced is told once, and delivery goes on from its oldest event`, async () => {
      const at = world({ transports: [transport] });
      const received = follow(at.connection, "a");
      await at.server.clock.advance(1000);
      for (const number of range(1, 5)) at.server.publish("a", number);
      await at.server.clock.advance(7000);
      at.server.log.replace("00000002");
      at.server.kill();
      for (const number of range(11, 13)) at.server.publish("a", number);
      await at.server.clock.advance(60_000);
      at.server.publish("a", 14);
      await at.server.clock.advance(7000);
      expect(received.gaps).toMatchObject([{ reason: "epoch", from: "1f0c93ab-5", to: "00000002-0" }]);
      expect(received.data).toEqual([...range(1, 5), ...range(11, 14)]);
    });

    test(`on ${transport} a cursor past the tail is told as a gap`, async () => {
      const at = world({ transports: [transport] });
      for (const number of range(1, 3)) at.server.publish("a", number);
      const received = follow(at.connection, "a", at.server.log.cursor(50));
      await at.server.clock.advance(7000);
      at.server.publish("a", 4);
      await at.server.clock.advance(7000);
      expect(received.gaps).toMatchObject([{ reason: "ahead", from: "1f0c93ab-50" }]);
      expect(received.data).toEqual([1, 2, 3, 4]);
    });
  }
});

describe("channels that are refused", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
    test(`on ${transport} one forbidden channel does not stop the others`, async () => {
      const at = world({ transports: [transport] });
      at.server.faults.forbidden.add("secret");
      const errors: AnywireError[] = [];
      const received = follow(at.connection, "a");
      at.connection.channel("secret").onError((error) => errors.push(error));
      const other = follow(at.connection, "b", "0");
      await at.server.clock.advance(3000);
      at.server.publish("a", 1);
      at.server.publish("b", 2);
      await at.server.clock.advance(7000);
      expect(errors.map((error) => error.code)).toEqual(["forbidden"]);
      expect(errors[0]).toBeInstanceOf(AnywireError);
      expect(received.data).toEqual([1]);
      expect(other.data).toEqual([2]);
      expect(at.connection.status().state).toBe("live");
    });
  }

  test("a connection whose only channel is refused is idle, not lost", async () => {
    const at = world();
    at.server.faults.forbidden.add("secret");
    const errors: string[] = [];
    at.connection.channel("secret").onError((error) => errors.push(error.code));
    await at.server.clock.advance(3000);
    expect(errors).toEqual(["forbidden"]);
    expect(at.connection.status().state).toBe("idle");
  });
});
