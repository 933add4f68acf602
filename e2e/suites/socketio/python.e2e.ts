/**
 * `python-socketio` 5, unmodified: both of its transports and the change between them. What the server does
 * is tested without it in `crates/gateway/tests/carriers`, also with what this library was recorded to send.
 */
import { once } from "node:events";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { Hopeless, until } from "../../../testing/until.mjs";
import { publish } from "../../harness/log.ts";
import { FaultyProxy } from "../../harness/proxy.ts";
import { spawnPython } from "../../harness/python.ts";
import { type Answer, LOBBY_AND_CHAT, MODES, type Mode, modes } from "../../harness/socketio.ts";
import { KEYS, token } from "../../harness/token.ts";

let server: Server;
let guarded: Server;
let proxy: FaultyProxy;

beforeAll(async () => {
  server = await Server.start({ config: LOBBY_AND_CHAT });
  guarded = await Server.start({ config: KEYS });
  proxy = await FaultyProxy.start(server.port);
});

interface Line {
  readonly event: string;
  readonly namespace: string;
  readonly args: readonly unknown[];
}

interface Options {
  readonly namespaces?: readonly string[];
  readonly auth?: Record<string, unknown>;
  /** Asks for cursors, and says the last one when it connects again. */
  readonly resume?: boolean;
}

const running = new Set<PythonClient>();

class PythonClient {
  readonly lines: Line[] = [];
  #ended: string | null = null;
  #complaints = "";
  readonly #child: Awaited<ReturnType<typeof spawnPython>>;

  private constructor(child: Awaited<ReturnType<typeof spawnPython>>) {
    this.#child = child;
    running.add(this);
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(JSON.parse(line) as Line));
    child.stderr.on("data", (data) => {
      this.#complaints += String(data);
    });
    child.once("exit", (code, signal) => {
      this.#ended = `${code ?? signal}`;
    });
  }

  static async start(url: string, mode: Mode, options: Options = {}): Promise<PythonClient> {
    const all = JSON.stringify({ transports: MODES[mode], ...options });
    return new PythonClient(await spawnPython("client.py", [url, all]));
  }

  static async connected(url: string, mode: Mode, options: Options = {}): Promise<PythonClient> {
    const client = await PythonClient.start(url, mode, options);
    const wanted = options.namespaces?.length ?? 1;
    await client.count("connect", wanted);
    return client;
  }

  of(event: string): Line[] {
    return this.lines.filter((line) => line.event === event);
  }

  async count(event: string, count: number): Promise<Line[]> {
    await until(`${event} came ${count} times`, () => {
      if (this.#ended !== null && this.of(event).length < count)
        throw new Hopeless(`the client ended with ${this.#ended}: ${this.#complaints}`);
      return this.of(event).length >= count;
    });
    return this.of(event);
  }

  data(event: string): unknown[] {
    return this.of(event).map((line) => line.args[0]);
  }

  /** Emits, and answers the acknowledgement and the transport in use. */
  async ask(event: string, args: readonly unknown[], namespace = "/"): Promise<[Answer, string]> {
    const before = this.of("$answer").length;
    this.#child.stdin.write(`${JSON.stringify({ event, args, namespace })}\n`);
    const answers = await this.count("$answer", before + 1);
    return answers.at(-1)?.args as unknown as [Answer, string];
  }

  async end(): Promise<void> {
    running.delete(this);
    if (this.#ended !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

afterEach(async () => {
  for (const client of running) await client.end();
});

afterAll(async () => {
  await proxy?.stop();
  await server?.dispose();
  await guarded?.dispose();
});

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, index) => index + from);
const emit = (channel: string, event: string, data: unknown) =>
  publish(server.url, [{ channel, event, data }]);

test.each(modes)("%s: one conversation, through cuts and a server that is killed", async (mode) => {
  const options = { namespaces: ["/", "/chat"], auth: { recover: true }, resume: true };
  const client = await PythonClient.connected(proxy.url, mode, options);
  const data = { id: 1, text: "tin mới ✓", nested: [1.5, null, true] };
  await emit("lobby", `news-${mode}`, data);
  const [news] = await client.count(`news-${mode}`, 1);
  expect(news).toMatchObject({ namespace: "/", args: [data] });
  const room = `py-${modes.indexOf(mode)}`;
  const [joined, transport] = await client.ask("subscribe", [room]);
  expect(joined).toMatchObject({ ok: true, channels: [room] });
  expect(transport).toBe(mode === "polling only" ? "polling" : "websocket");
  await emit(room, "in-room", 1);
  await client.count("in-room", 1);
  expect((await client.ask("unsubscribe", [room]))[0]).toMatchObject({ ok: true });
  await emit(room, "in-room", 2);
  const [said] = await client.ask(`said-${mode}`, ["xin chào", 2], "/chat");
  expect(said).toMatchObject({ ok: true, offsets: [expect.any(Number)] });
  const [back] = await client.count(`said-${mode}`, 1);
  expect(back).toMatchObject({ namespace: "/chat", args: ["xin chào", 2] });
  const bytes = { bytes: "000102fa" };
  await client.ask(`bytes-${mode}`, [bytes], "/chat");
  await client.ask(`bytes-${mode}`, [{ name: "a", part: bytes }], "/chat");
  await client.count(`bytes-${mode}`, 2);
  expect(client.data(`bytes-${mode}`)).toEqual([bytes, { name: "a", part: bytes }]);

  const event = `through-${mode}`;
  for (const number of numbers(21)) {
    if (number % 7 === 0) {
      // Its threads note the cursor: until they have, it would rightly ask again for what they are about to
      // handle.
      await client.count(event, number - 1);
      proxy.drop();
    }
    await emit("lobby", event, number);
  }
  await client.count(event, 21);
  await server.kill();
  await server.boot();
  for (const number of numbers(10, 22)) await emit("lobby", event, number);
  await client.count(event, 31);
  // Its threaded client handles each message in a thread of its own: which of two that come together is first
  // is up to Python.
  const got = client.data(event) as number[];
  expect(got.sort((one, other) => one - other)).toEqual(numbers(31));
  expect(client.of("gap")).toEqual([]);
  expect(client.data("in-room")).toEqual([1]);
});

test("a token decides what it may join", async () => {
  const without = await PythonClient.start(guarded.url, "WebSocket only");
  await without.count("refused", 1);
  const auth = { token: token({ sub: "u", subscribe: ["mine"] }) };
  const client = await PythonClient.connected(guarded.url, "WebSocket only", { auth });
  expect((await client.ask("subscribe", ["mine"]))[0]).toMatchObject({ ok: true });
  expect((await client.ask("subscribe", ["secret"]))[0]).toMatchObject({ ok: false, code: "forbidden" });
});
