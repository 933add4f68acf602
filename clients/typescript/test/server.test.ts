/**
 * The client against the real server, which `ANYWIRE_BIN` names: `cargo build --release -p anywire` makes
 * one.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Server } from "../../../testing/server.mjs";
import { sleep, until } from "../../../testing/until.mjs";
import type { RequestLike } from "../src/environment.js";
import {
  type Connection,
  type ConnectOptions,
  connect,
  type Policy,
  type TransportName,
} from "../src/index.js";
import { follow, type Received, range } from "./world.js";

/** Impatient, so that a test takes seconds. */
const policy: Partial<Policy> = {
  backoffMs: [100, 200, 400, 800],
  probeMs: [500],
  pollIntervalMs: 200,
  openTimeoutMs: 3000,
  earlyMs: 300,
  longPollSeconds: 5,
};

/** A network in which single transports can be blocked. */
class Network {
  readonly blocked = new Set<TransportName>();
  readonly #sockets = new Set<WebSocket>();
  readonly #requests = new Set<{ transport: TransportName; abort(): void }>();

  block(transport: TransportName): void {
    this.blocked.add(transport);
    if (transport === "websocket") for (const socket of this.#sockets) socket.terminate();
    for (const request of this.#requests) if (request.transport === transport) request.abort();
  }

  environment(): ConnectOptions["environment"] {
    const network = this;
    const Socket = class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(network.blocked.has("websocket") ? "ws://127.0.0.1:1" : url, protocols);
        network.#sockets.add(this);
      }
    };
    return {
      WebSocket: Socket,
      fetch: (url, request) => this.#fetch(url, request),
    };
  }

  async #fetch(url: string, request: RequestLike): Promise<Response> {
    const { pathname, searchParams } = new URL(url);
    const isSse = pathname.endsWith("/sse");
    const transport = isSse ? "sse" : searchParams.has("wait") ? "long-poll" : "poll";
    if (this.blocked.has(transport)) throw new TypeError("blocked");
    const abort = new AbortController();
    request.signal.addEventListener("abort", () => abort.abort());
    if (request.signal.aborted) abort.abort();
    this.#requests.add({ transport, abort: () => abort.abort() });
    return fetch(url, { ...request, signal: abort.signal });
  }
}

let server: Server;
let connections: Connection[];

beforeEach(async () => {
  connections = [];
  server = await Server.start();
});

afterEach(async () => {
  for (const connection of connections) connection.close();
  await server?.dispose();
});

function open(options: ConnectOptions = {}, network = new Network()): Connection {
  const environment = network.environment() ?? {};
  const connection = connect(server.url, {
    ...options,
    policy: { ...policy, ...options.policy },
    environment,
  });
  connections.push(connection);
  return connection;
}

const all = (received: Received, count: number) => () => received.data.length >= count;
const onTransport = (connection: Connection, transport: TransportName) => () =>
  connection.status().state === "live" && connection.status().transport === transport;

/** Publishes numbers one after the other; each is acknowledged before the next goes. */
async function publish(connection: Connection, channel: string, from: number, to: number): Promise<void> {
  for (const number of range(from, to)) await connection.publish(channel, "tick", number);
}

describe("against the real server", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as const) {
    test(`${transport} delivers every event once and in order, also through kill -9`, async () => {
      const connection = open({ transports: [transport] });
      const publisher = open({ transports: ["poll"] });
      const received = follow(connection, "a", "0");
      await until("it is live", onTransport(connection, transport));
      await publish(publisher, "a", 1, 30);
      await until("30 events are there", all(received, 30));
      const publishing = publish(publisher, "a", 31, 60);
      await server.kill();
      await sleep(300);
      await server.boot();
      await publishing;
      await until("all events are there", all(received, 60));
      expect(received.data).toEqual(range(1, 60));
      expect(received.gaps).toEqual([]);
      expect(connection.status()).toMatchObject({ state: "live", transport, gaps: 0 });
    });

    test(`${transport} starts at the tail, at the oldest and at a cursor`, async () => {
      const connection = open({ transports: [transport] });
      await publish(connection, "b", 1, 5);
      const { cursor } = await connection.publish("b", "tick", 6);
      await publish(connection, "b", 7, 9);
      const received = [undefined, "0", cursor].map((after) => follow(connection, "b", after));
      await until("the tail is known", () =>
        received.every(({ channel }) => channel.cursor?.includes("-") ?? false),
      );
      await publish(connection, "b", 10, 12);
      await until("the last one is there", () => received.every(({ data: got }) => got.at(-1) === 12));
      expect(received.map(({ data: got }) => got)).toEqual([range(10, 12), range(1, 12), range(7, 12)]);
    });

    test(`${transport} tells a cursor of another log as a gap, once`, async () => {
      const connection = open({ transports: [transport] });
      await publish(connection, "c", 1, 3);
      const received = follow(connection, "c", "00000000-7");
      await until("the events are there", all(received, 3));
      expect(received.gaps).toMatchObject([{ channel: "c", reason: "epoch", from: "00000000-7" }]);
      expect(received.data).toEqual([1, 2, 3]);
    });
  }

  test("blocked transports are left and come back, and the sequence has no hole and no repetition", async () => {
    const network = new Network();
    const connection = open({}, network);
    const publisher = open({ transports: ["poll"] });
    const received = follow(connection, "a", "0");
    let stop = false;
    let sent = 0;
    const publishing = (async () => {
      while (!stop) {
        await publisher.publish("a", "tick", ++sent);
        await sleep(5);
      }
    })();
    await until("it is on WebSocket", onTransport(connection, "websocket"));
    network.block("websocket");
    await until("it is on SSE", onTransport(connection, "sse"));
    network.block("sse");
    await until("it is on long-poll", onTransport(connection, "long-poll"));
    network.block("long-poll");
    await until("it polls", onTransport(connection, "poll"));
    await server.kill();
    await server.boot();
    await until("it polls again", onTransport(connection, "poll"));
    network.blocked.delete("sse");
    await until("it is back on SSE", onTransport(connection, "sse"));
    network.blocked.clear();
    await until("it is back on WebSocket", onTransport(connection, "websocket"));
    stop = true;
    await publishing;
    await until("all events are there", all(received, sent));
    expect(received.data).toEqual(range(1, sent));
  });

  test("after a restart the client is on WebSocket again", async () => {
    const connection = open();
    follow(connection, "a");
    await until("it is live", onTransport(connection, "websocket"));
    await server.kill();
    await until("it has noticed", () => connection.status().state === "reconnecting");
    await sleep(1000);
    await server.boot();
    await until("it is back", onTransport(connection, "websocket"));
    expect(connection.status().reconnects).toBe(1);
  });

  test("channels that are subscribed later, with an older cursor, catch up on the same socket", async () => {
    const connection = open();
    const first = follow(connection, "a");
    await until("it is live", onTransport(connection, "websocket"));
    const { cursor } = await connection.publish("b", "tick", 0);
    for (const number of range(1, 50)) {
      await connection.publishBatch([
        { channel: "a", event: "tick", data: number },
        { channel: "b", event: "tick", data: number },
      ]);
    }
    const publishing = publish(connection, "a", 51, 100);
    const second = follow(connection, "b", cursor);
    const again = follow(connection, "a", cursor);
    await publishing;
    await until(
      "all are there",
      () => [first, again].every(({ data: got }) => got.length >= 100) && second.data.length >= 50,
    );
    expect(first.data).toEqual(range(1, 100));
    expect(again.data).toEqual(range(1, 100));
    expect(second.data).toEqual(range(1, 50));
    expect(connection.status().reconnects).toBe(0);
  });

  test("one key is one event over WebSocket and HTTP, and another body under it is refused", async () => {
    const connection = open();
    const received = follow(connection, "a");
    await until("it is live", onTransport(connection, "websocket"));
    const first = await connection.publish("a", "x", { n: 1 }, { idempotencyKey: "k1" });
    const other = open({ transports: ["poll"] });
    const second = await other.publish("a", "x", { n: 1 }, { idempotencyKey: "k1" });
    expect(second).toEqual({ ...first, duplicate: true });
    await expect(other.publish("a", "x", { n: 2 }, { idempotencyKey: "k1" })).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    await until("it is there", all(received, 1));
    await connection.publish("a", "x", 2);
    await until("the next is there", all(received, 2));
    expect(received.data).toEqual([{ n: 1 }, 2]);
  });

  test("bytes, presence and latency", async () => {
    const connection = open();
    const received = follow(connection, "a");
    await until("it is live", onTransport(connection, "websocket"));
    const bytes = Uint8Array.from(range(0, 255));
    await connection.publish("a", "x", bytes);
    await until("it is there", all(received, 1));
    expect(received.data).toEqual([bytes]);
    expect(await connection.presence("a")).toMatchObject({ members: [] });
    await until("latency is known", () => connection.status().latency !== null);
  });
});
