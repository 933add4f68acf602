/**
 * `socket.io-client` 4.8 in Node, unmodified, over each of its ways to connect. What the server does is
 * tested without it, over every carrier, in `crates/gateway/tests/carriers`: here is what the library makes
 * of it.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until, within } from "../../../testing/until.mjs";
import { offsetOf, publish, readAll } from "../../harness/log.ts";
import { type Answer, closeAll, Listener, LOBBY_AND_CHAT, type Mode, modes } from "../../harness/socketio.ts";
import { KEYS, token } from "../../harness/token.ts";

const NAMESPACES = `${LOBBY_AND_CHAT}welcome_event = "welcome"
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

test.each(modes)("%s: one conversation, with everything that the library can do", async (mode: Mode) => {
  const event = fresh("news");
  const room = fresh("room");
  const client = await Listener.connected(server.url, mode);
  const data = { id: 1, text: "tin mới ✓", nested: [1.5, null, { a: true }] };
  await emit("lobby", event, data);
  await client.count(event, 1);
  expect(client.heard.filter((one) => one.event === event)).toEqual([{ event, args: [data] }]);

  // While it may be changing transports: once each and in order.
  for (const number of numbers(300)) await emit("lobby", `${event}-many`, number);
  expect(await client.count(`${event}-many`, 300)).toEqual(numbers(300));
  const wanted = mode === "polling only" ? "polling" : "websocket";
  await until(`the client uses ${wanted}`, () => client.transport === wanted);

  const { cursor } = await emit(room, "n", 1);
  await emit(room, "n", 2);
  const joined = await client.ask("subscribe", [room], { after: cursor });
  expect(joined).toMatchObject({ ok: true, channels: [room] });
  expect(await client.count("n", 1)).toEqual([2]);
  expect(await client.ask("unsubscribe", room)).toMatchObject({ ok: true, channels: [room] });
  expect(await client.ask("whatever", 1)).toMatchObject({ ok: false, code: "invalid_event" });

  // Another namespace, which connects by itself over the same connection: an emit is a publication, also with
  // bytes.
  const chat = client.socket.io.socket("/chat");
  const heard: unknown[][] = [];
  chat.onAny((...args: unknown[]) => heard.push(args));
  await until("the second namespace is joined and greeted", () => heard.length === 1);
  expect(heard[0]).toEqual(["welcome", { message: "hello", timestamp: expect.stringMatching(/^20.*Z$/) }]);
  const bytes = Buffer.from([0, 1, 2, 250, 255]);
  const said: Answer = await chat.emitWithAck(event, { name: "a", parts: [bytes, Buffer.from("b")] }, 7);
  expect(said).toMatchObject({ ok: true, offsets: [expect.any(Number)] });
  await until("it hears what it said", () => heard.length === 2);
  expect(heard[1]).toEqual([event, { name: "a", parts: [bytes, Buffer.from("b")] }, 7]);
  const before = said.cursor?.replace(/\d+$/, (n) => `${Number(n) - 1}`);
  const { events } = await readAll(server.url, "chat", before);
  expect(events[0]).toMatchObject({ event, offset: offsetOf(said.cursor ?? "") });
  chat.disconnect();

  const nowhere = client.socket.io.socket("/nowhere");
  const refused = new Promise<Error>((resolve) => nowhere.once("connect_error", resolve));
  expect((await within("the refusal", refused)).message).toBe("Invalid namespace");

  // Without recovery a client that comes back goes on with what is published then.
  client.cut();
  await until("the client has noticed", () => client.reasons.length > 0);
  await client.isConnected();
  expect(client.socket.recovered).not.toBe(true);
  await emit("lobby", event, 2);
  expect(await client.count(event, 2)).toEqual([data, 2]);
  expect(client.data("n"), "nothing of a room that was left").toEqual([2]);

  const without = new Listener(guarded.url, mode);
  await until("who has no token is refused", () => without.errors.length > 0);
  expect(without.errors[0]?.data).toMatchObject({ code: "unauthorized" });
  const rights = { sub: "u1", subscribe: ["user_u1", "room_*"], publish: ["from_clients"] };
  const user = await Listener.connected(guarded.url, mode, { auth: { token: token(rights) } });
  expect(await user.ask("subscribe", "room_1")).toMatchObject({ ok: true });
  expect(await user.ask("subscribe", "secret")).toMatchObject({ ok: false, code: "forbidden" });
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
