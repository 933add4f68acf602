/**
 * `socket.io-client` 4.8 in Node, unmodified, over each of its ways to connect: namespaces, tokens, acknowledgements, bytes, rooms,
 * reconnection.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { offsetOf, publish, readAll } from "../../harness/log.ts";
import { closeAll, Listener, type Mode, modes } from "../../harness/socketio.ts";
import { KEYS, token } from "../../harness/token.ts";

const NAMESPACES = `
[[socketio.namespaces]]
name = "/"
channels = ["lobby"]
[[socketio.namespaces]]
name = "/chat"
channels = ["chat"]
emit_to = "chat"
welcome_event = "welcome"
welcome_data = '{"message":"hello","timestamp":"$now"}'
[[socketio.namespaces]]
name = "/team-*"
emit_to = "team"
`;

let server: Server;
let guarded: Server;

beforeAll(async () => {
  server = await Server.start({ config: NAMESPACES });
  guarded = await Server.start({
    config: `${KEYS}[[socketio.namespaces]]\nname = "/"\nchannels = ["user_{user}"]\nemit_to = "from_clients"\n`,
  });
});

afterEach(closeAll);

afterAll(async () => {
  await server?.dispose();
  await guarded?.dispose();
});

/** A name nobody else in this file uses. */
let names = 0;
const fresh = (prefix: string) => `${prefix}-${++names}`;

const emit = (channel: string, event: string, data: unknown) =>
  publish(server.url, [{ channel, event, data }]);

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, index) => index + from);

describe.each(modes)("%s", (mode: Mode) => {
  test("a published event arrives as its name and its data, with no further subscription", async () => {
    const client = await Listener.connected(server.url, mode);
    const data = { id: 1, text: "tin mới ✓", nested: [1.5, null, { a: true }] };
    const event = fresh("news");
    await emit("lobby", event, data);
    await client.count(event, 1);
    expect(client.heard.filter((one) => one.event === event)).toEqual([{ event, args: [data] }]);
    if (mode === "polling, then upgraded")
      await until("the client has changed over", () => client.transport === "websocket");
    else expect(client.transport).toBe(mode === "polling only" ? "polling" : "websocket");
  });

  test("events that pass while the client changes transports arrive once each and in order", async () => {
    const event = fresh("stream");
    const client = await Listener.connected(server.url, mode);
    for (const number of numbers(300)) await emit("lobby", event, number);
    expect(await client.count(event, 300)).toEqual(numbers(300));
  });

  test("rooms are channels: joined, left, both acknowledged", async () => {
    const room = fresh("room");
    const client = await Listener.connected(server.url, mode);
    const joined = await client.ask("subscribe", room);
    expect(joined).toMatchObject({ ok: true, channels: [room] });
    await emit(room, "one", 1);
    await client.count("one", 1);
    expect(await client.ask("unsubscribe", room)).toMatchObject({ ok: true, channels: [room] });
    await emit(room, "two", 2);
    await emit("lobby", `end-${room}`, null);
    await client.count(`end-${room}`, 1);
    expect(client.data("two"), "after leaving").toEqual([]);
  });

  test("a room joined with a cursor begins there", async () => {
    const room = fresh("room");
    const { cursor } = await emit(room, "n", 1);
    await emit(room, "n", 2);
    const client = await Listener.connected(server.url, mode);
    expect(await client.ask("subscribe", [room], { after: cursor })).toMatchObject({ ok: true });
    await emit(room, "n", 3);
    expect(await client.count("n", 2)).toEqual([2, 3]);
  });

  test("namespaces are apart, also those by pattern, and an unknown one is refused by name", async () => {
    const event = fresh("word");
    const main = await Listener.connected(server.url, mode);
    const chat = await Listener.connected(server.url, mode, {}, "/chat");
    const team = await Listener.connected(server.url, mode, {}, "/team-a");
    expect(chat.socket.id).not.toBe(chat.socket.io.engine.id);
    expect(await team.ask("subscribe", "team")).toMatchObject({ ok: true });
    await emit("chat", event, 1);
    await emit("lobby", event, 2);
    await emit("team", event, 3);
    expect(await chat.count(event, 1)).toEqual([1]);
    expect(await main.count(event, 1)).toEqual([2]);
    expect(await team.count(event, 1)).toEqual([3]);
    const [welcome] = await chat.count("welcome", 1);
    expect(welcome).toMatchObject({ message: "hello", timestamp: expect.stringMatching(/^20.*Z$/) });
    const unknown = new Listener(server.url, mode, {}, "/nowhere");
    await until("the unknown namespace is refused", () => unknown.errors.length > 0);
    expect(unknown.errors[0]?.message).toBe("Invalid namespace");
  });

  test("several namespaces share one connection", async () => {
    const event = fresh("word");
    const main = await Listener.connected(server.url, mode);
    const heard: unknown[] = [];
    const chat = main.socket.io.socket("/chat");
    chat.on(event, (data: unknown) => heard.push(data));
    chat.connect();
    await until("the second namespace is joined", () => chat.connected);
    await emit("chat", event, 1);
    await emit("lobby", event, 2);
    expect(await main.count(event, 1)).toEqual([2]);
    await until("the other hears its own", () => heard.length === 1);
    chat.disconnect();
    await emit("lobby", event, 3);
    expect(await main.count(event, 2)).toEqual([2, 3]);
    expect(heard).toEqual([1]);
  });

  test("an emit is a publication like any other, acknowledged with its place in the log", async () => {
    const event = fresh("said");
    const one = await Listener.connected(server.url, mode, {}, "/chat");
    const other = await Listener.connected(server.url, mode, {}, "/chat");
    const answer = await one.ask(event, { text: "xin chào" }, 2);
    expect(answer).toMatchObject({ ok: true, offsets: [expect.any(Number)] });
    await other.count(event, 1);
    expect(other.heard.find((heard) => heard.event === event)?.args).toEqual([{ text: "xin chào" }, 2]);
    const { events } = await readAll(
      server.url,
      "chat",
      answer.cursor?.replace(/\d+$/, (n) => `${Number(n) - 1}`),
    );
    expect(events[0]).toMatchObject({ event, offset: offsetOf(answer.cursor ?? "") });
    const channel = fresh("elsewhere");
    expect(await one.ask("publish", { channel, event: "x", data: 1 })).toMatchObject({ ok: true });
    expect((await readAll(server.url, channel)).events).toMatchObject([{ event: "x", data: 1 }]);
  });

  test("bytes go both ways, alone and within other data", async () => {
    const event = fresh("bytes");
    const one = await Listener.connected(server.url, mode, {}, "/chat");
    const other = await Listener.connected(server.url, mode, {}, "/chat");
    const bytes = Buffer.from([0, 1, 2, 250, 255]);
    await one.ask(event, bytes);
    await one.ask(event, { name: "a", parts: [bytes, Buffer.from("b")] }, 7);
    await other.count(event, 2);
    const heard = other.heard.filter((one) => one.event === event);
    expect(Buffer.compare(Buffer.from(heard[0]?.args[0] as Buffer), bytes)).toBe(0);
    expect(heard[1]?.args).toEqual([{ name: "a", parts: [bytes, Buffer.from("b")] }, 7]);
    const published = fresh("published");
    const body = { channel: "chat", event: published, encoding: "base64", data: bytes.toString("base64") };
    await publish(server.url, [body]);
    await other.count(published, 1);
    expect(Buffer.compare(Buffer.from(other.data(published)[0] as Buffer), bytes)).toBe(0);
  });

  test("an event that means nothing is refused with the way out, and the connection stays", async () => {
    const client = await Listener.connected(server.url, mode);
    expect(await client.ask("whatever", 1)).toMatchObject({ ok: false, code: "invalid_event" });
    expect(await client.ask("subscribe", "a b")).toMatchObject({ ok: false, code: "invalid_channel" });
    expect(await client.ask("subscribe")).toMatchObject({ ok: false, code: "invalid_request" });
    expect(await client.ask("subscribe", fresh("room"))).toMatchObject({ ok: true });
  });

  test("who has no token is told so, who has one gets what it allows", async () => {
    const without = new Listener(guarded.url, mode);
    await until("the client is refused", () => without.errors.length > 0);
    expect(without.errors[0]?.data).toMatchObject({ code: "unauthorized" });
    const expired = new Listener(guarded.url, mode, { auth: { token: token({ sub: "u" }, -10) } });
    await until("the old token is refused", () => expired.errors.length > 0);
    expect(expired.errors[0]?.data).toMatchObject({ code: "token_expired" });
    const rights = { sub: "u1", subscribe: ["user_u1", "room_*"], publish: ["from_clients"] };
    const client = await Listener.connected(guarded.url, mode, { auth: { token: token(rights) } });
    expect(await client.ask("subscribe", "room_1")).toMatchObject({ ok: true });
    expect(await client.ask("subscribe", "secret")).toMatchObject({ ok: false, code: "forbidden" });
    expect(await client.ask("hello", 1)).toMatchObject({ ok: true });
    expect(await client.ask("publish", { channel: "secret", data: 1 })).toMatchObject({ code: "forbidden" });
  });

  test("without recovery a client that comes back goes on with what is published then, and its handlers get one argument", async () => {
    const event = fresh("plain");
    const client = await Listener.connected(server.url, mode);
    await emit("lobby", event, 1);
    await client.count(event, 1);
    expect(client.heard.find((one) => one.event === event)?.args).toHaveLength(1);
    client.cut();
    await until("the client has noticed", () => client.reasons.length > 0);
    await client.isConnected();
    expect(client.socket.recovered).not.toBe(true);
    await emit("lobby", event, 2);
    await client.count(event, 2);
  });
});

test("the five lines of a Kafka dashboard get what is published, unchanged", async () => {
  const { io } = await import("socket.io-client");
  const socket = io(server.url, {
    transports: ["websocket", "polling"],
    reconnection: true,
    reconnectionDelay: 1000,
    reconnectionAttempts: 5,
  });
  try {
    const seen: unknown[][] = [];
    socket.on("message-received", (...args: unknown[]) => seen.push(args));
    await until("it is connected", () => socket.connected);
    const received = {
      logId: "l1",
      topic: "test",
      partition: 0,
      offset: "12345",
      dataType: "SINGLE_MESSAGE",
    };
    await emit("lobby", "message-received", received);
    await until("the event came", () => seen.length > 0);
    expect(seen).toEqual([[received]]);
  } finally {
    socket.disconnect();
  }
});

test("an Engine.IO 3 client is told that its protocol is not spoken", async () => {
  const answer = await fetch(`${server.url}/socket.io/?EIO=3&transport=polling`);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toEqual({ code: 5, message: "Unsupported protocol version" });
});

test("a page of another origin is kept out, over either transport", async () => {
  const origin = { Origin: "https://evil.example" };
  const answer = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`, { headers: origin });
  expect(answer.status).toBe(403);
  const client = new Listener(server.url, "WebSocket only", { extraHeaders: origin, reconnection: false });
  await until("the handshake is refused", () => client.errors.length > 0);
  expect(client.socket.connected).toBe(false);
});
