/**
 * Connection state recovery of `socket.io-client` 4.8, unmodified, from the log: across broken connections and servers that are killed, before
 * the first event, beyond what retention keeps, with an offset that is none.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { publish, readAll } from "../../harness/log.ts";
import { closeAll, Listener, modes } from "../../harness/socketio.ts";

const CONFIG = `
[[socketio.namespaces]]
name = "/"
channels = ["lobby"]
[[socketio.namespaces]]
name = "/recovering"
channels = ["recovering"]
recovery = true
[[retention]]
pattern = "short-*"
events_max = 5
`;

let server: Server;

beforeAll(async () => {
  server = await Server.start({ config: CONFIG });
});

afterEach(closeAll);

afterAll(async () => {
  await server?.dispose();
});

/** A name nobody else in this file uses. */
let names = 0;
const fresh = (prefix: string) => `${prefix}-${++names}`;

const emit = (channel: string, event: string, data: unknown) =>
  publish(server.url, [{ channel, event, data }]);

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, index) => index + from);

describe.each(modes)("%s", (mode) => {
  test("a client whose connection breaks comes back by itself and has lost nothing where it recovers", async () => {
    const event = fresh("through");
    const client = await Listener.connected(server.url, mode, {}, "/recovering");
    await emit("recovering", event, 1);
    await client.count(event, 1);
    for (const number of numbers(20, 2)) {
      if (number % 5 === 0) {
        // Not in the middle of it: closed while it opens, the library notices only after its connect time-out of 20 s; closed while it changes
        // over, it may keep events of the old connection and emit them beside those that it is sent again.
        await client.isConnected();
        if (mode === "polling, then upgraded")
          await until("it has changed over", () => client.transport === "websocket");
        client.cut();
      }
      await emit("recovering", event, number);
    }
    expect(await client.count(event, 21)).toEqual(numbers(21));
    await client.isConnected();
    expect(client.socket.recovered).toBe(true);
  });

  test("recovery works before the first event was seen", async () => {
    const event = fresh("first");
    const client = await Listener.connected(server.url, mode, { auth: { recover: true, channels: [event] } });
    const away = new Promise((resolve) => client.socket.once("disconnect", resolve));
    client.cut();
    await away;
    await emit(event, "n", 1);
    await emit(event, "n", 2);
    expect(await client.count("n", 2)).toEqual([1, 2]);
    expect(client.socket.recovered).toBe(true);
  });

  test("rooms joined after connecting are recovered too", async () => {
    const room = fresh("joined");
    const client = await Listener.connected(server.url, mode, {}, "/recovering");
    await client.ask("subscribe", room);
    await emit(room, "n", 1);
    await client.count("n", 1);
    const away = new Promise((resolve) => client.socket.once("disconnect", resolve));
    client.cut();
    await away;
    await emit(room, "n", 2);
    expect(await client.count("n", 2)).toEqual([1, 2]);
  });

  test("what retention has taken meanwhile is told by a gap event", async () => {
    const room = fresh("short");
    const client = await Listener.connected(server.url, mode, { auth: { recover: true, channels: [room] } });
    await emit(room, "n", 1);
    await client.count("n", 1);
    await client.stayAway();
    await publish(
      server.url,
      numbers(20, 2).map((number) => ({ channel: room, event: "n", data: number })),
    );
    client.comeBack();
    await client.count("gap", 1);
    await until("the newest arrived", () => client.data("n").at(-1) === 21);
    const [gap] = client.data("gap") as [
      { channels: string[]; reason: string; lost: Record<string, number> },
    ];
    expect(gap).toMatchObject({ channels: [room], reason: "trimmed" });
    const got = client.data("n") as number[];
    expect(got).toEqual([1, ...got.slice(1).sort((one, two) => one - two)]);
    // What came and what the gap names is everything.
    const { events } = await readAll(server.url, room);
    expect(got.slice(1)).toEqual(events.map((event) => event.data));
  });

  test("an offset that is none falls back to what the server knows", async () => {
    const client = await Listener.connected(server.url, mode, {}, "/recovering");
    const event = fresh("garbage");
    await emit("recovering", event, 1);
    await client.count(event, 1);
    (client.socket as unknown as { _lastOffset: string })._lastOffset = "no cursor at all";
    await client.stayAway();
    // What it knows is where it stopped writing: not before it has seen the connection end.
    await until("the server has noticed", async () => {
      const answer = await fetch(`${server.url}/api/delivery/clients?limit=1000`);
      const { clients } = (await answer.json()) as { clients: { transport: string }[] };
      return clients.every((client) => client.transport !== "socketio");
    });
    await emit("recovering", event, 2);
    client.comeBack();
    expect(await client.count(event, 2)).toEqual([1, 2]);
  });
});

describe("a server that is killed in the middle", () => {
  test.each(modes)("%s: everything published around it arrives once and in order", async (mode) => {
    const event = fresh("killed");
    const client = await Listener.connected(server.url, mode, {}, "/recovering");
    const room = fresh("room");
    await client.ask("subscribe", room);
    for (let round = 0; round < 3; round += 1) {
      for (const number of numbers(10, round * 20 + 1)) await emit("recovering", event, number);
      await server.kill();
      await server.boot();
      for (const number of numbers(10, round * 20 + 11)) await emit("recovering", event, number);
    }
    await emit(room, `end-${event}`, null);
    expect(await client.count(event, 60)).toEqual(numbers(60));
    await client.count(`end-${event}`, 1);
    expect(client.data(event), "nothing twice").toEqual(numbers(60));
    expect(client.data("gap")).toEqual([]);
  });

  test("a server that stops in good order says so, and its clients come back", async () => {
    const client = await Listener.connected(server.url, "WebSocket only", {}, "/recovering");
    await server.stop();
    await until("the client has noticed", () => client.reasons.length > 0);
    // The reasons after which socket.io-client reconnects by itself.
    expect(["transport close", "transport error", "ping timeout"]).toContain(client.reasons[0]);
    await server.boot();
    await client.isConnected();
  });
});
