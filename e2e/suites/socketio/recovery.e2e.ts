/**
 * Connection state recovery of `socket.io-client` 4.8, unmodified, from the log: across broken connections
 * and servers that are killed. What the server does about gaps, rooms and strange offsets:
 * `crates/gateway/tests/carriers`.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { publish } from "../../harness/log.ts";
import { closeAll, Listener, modes } from "../../harness/socketio.ts";

const CONFIG = `
[[socketio.namespaces]]
name = "/"
channels = ["lobby"]
[[socketio.namespaces]]
name = "/recovering"
channels = ["recovering"]
recovery = true
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
        // Not in the middle of it: closed while it opens, the library notices only after its connect time-out
        // of 20 s; closed while it changes over, it may keep events of the old connection and emit them
        // beside those that it is sent again.
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
