/**
 * The front end of the document (seed 004) as it is written there: its `curl` and its `socket.io-client`
 * snippet, with nothing changed but the ports, which are free ones here.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { io, type Socket } from "socket.io-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePort } from "../../../testing/ports.mjs";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { counters, finished } from "../../harness/pipeline.ts";

const run = promisify(execFile);
const WELCOME = '{"message":"Connected to Consumer Service WebSocket","timestamp":"$now"}';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let server: Server;
let producer: number;
let gateway: number;
let socket: Socket;

const PING_MS = 300;

beforeEach(async () => {
  [producer, gateway] = [await freePort(), await freePort()];
  server = await Server.start({
    // Every 25 s where nothing is set.
    args: ["--set", `socketio.ping_interval_ms=${PING_MS}`],
    config: `
[[listeners]]
name = "producer"
listen = "127.0.0.1:${producer}"

[[listeners]]
name = "pipeline"
listen = "127.0.0.1:${gateway}"

[[socketio.namespaces]]
name = "/"
listener = "pipeline"
channels = ["pipeline"]
welcome_event = "connection-success"
welcome_data = ${JSON.stringify(WELCOME)}

[[socketio.namespaces]]
name = "/"
`,
  });
});

afterEach(async () => {
  socket?.disconnect();
  await server?.dispose();
});

/** The document's second terminal. */
function curl(): Promise<{ stdout: string }> {
  const url = `http://localhost:${producer}/api/producers/send/single?topic=test`;
  const args = [
    "-sS",
    "-X",
    "POST",
    url,
    "-H",
    "Content-Type: application/json",
    "-d",
    '{"name": "Test", "value": 100}',
  ];
  return run("curl", args);
}

test("the document's client hears every event of its records, with nothing asked for but the connection", async () => {
  const heard: { name: string; data: Record<string, unknown> }[] = [];
  socket = io(`http://localhost:${gateway}`, {
    transports: ["websocket", "polling"],
    reconnection: true,
    reconnectionDelay: 1000,
    reconnectionAttempts: 5,
  });
  socket.onAny((name: string, data: Record<string, unknown>) => heard.push({ name, data }));
  const last = (name: string) => heard.filter((event) => event.name === name).at(-1)?.data;
  await until("it is welcomed", () => last("connection-success"));
  expect(last("connection-success")).toEqual({
    message: "Connected to Consumer Service WebSocket",
    timestamp: expect.stringMatching(TIME),
  });
  await curl();
  await until("the counters come", () => last("stats-updated")?.processedMessages === 1);
  const logId = last("message-received")?.logId;
  const timestamp = expect.stringMatching(TIME);
  expect(last("message-received")).toEqual({
    logId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    topic: "test",
    partition: expect.any(Number),
    offset: "0",
    dataType: "SINGLE_MESSAGE",
    rowCount: 1,
    timestamp,
  });
  expect(last("processing-started")).toEqual({ logId, status: "PROCESSING", timestamp });
  expect(last("processing-completed")).toEqual({
    logId,
    consumerId: "consumer-1",
    status: "PROCESSED",
    timestamp,
  });
  expect(last("stats-updated")).toEqual({
    totalMessages: 1,
    processedMessages: 1,
    failedMessages: 0,
    activeConsumers: 1,
    timestamp,
  });
  await fetch(`http://localhost:${gateway}/api/consumers`, { method: "POST" });
  await until("a consumer is announced", () => last("consumer-status-changed")?.consumerId === "consumer-2");
  expect(last("consumer-status-changed")).toEqual({ consumerId: "consumer-2", status: "ACTIVE", timestamp });
});

test("its connection carries nothing but pings while nothing happens", async () => {
  await until("the consumer runs", async () => (await counters(server)).activeConsumers === 1);
  socket = io(`http://localhost:${gateway}`, { transports: ["websocket", "polling"], reconnection: true });
  const packets: string[] = [];
  await until("it is welcomed", () => socket.connected);
  socket.io.engine.on("packet", ({ type }: { type: string }) => packets.push(type));
  await until("it is pinged", () => packets.includes("ping"));
  packets.length = 0;
  await until("it is pinged again and again", () => packets.length >= 4);
  expect(new Set(packets)).toEqual(new Set(["ping"]));
});

test("it comes back by itself after the service was restarted", async () => {
  socket = io(`http://localhost:${gateway}`, { transports: ["websocket", "polling"], reconnection: true });
  const completed: string[] = [];
  socket.on("processing-completed", (data: { logId: string }) => completed.push(data.logId));
  await until("it is connected", () => socket.connected);
  await server.kill();
  await until("it knows that the service is gone", () => !socket.connected);
  await server.boot();
  await until("it is connected again", () => socket.connected);
  await curl();
  await until("it hears of the record", () => completed.length === 1);
  expect(await finished(server, 1)).toMatchObject({ totalMessages: 1 });
});
