/**
 * A server with all four transports over a virtual clock, and a network that can go wrong in every way the
 * ladder knows.
 */
import type {
  BodyReader,
  BroadcastLike,
  Environment,
  LifecycleEvent,
  RequestLike,
  ResponseLike,
  SocketLike,
} from "../src/environment.js";
import { Clock, seeded } from "./clock.js";
import type { FakeBrowser } from "./fake-browser.js";
import { FakeLog, type Stored } from "./fake-log.js";

type Path = "ws" | "sse" | "poll" | "long-poll" | "publish";

export interface Faults {
  /** Nobody answers: connections are refused. */
  down: boolean;
  /** Refused, as by a firewall. */
  refused: Set<Path>;
  /** The server itself says `transport_blocked`. */
  blocked: Set<Path>;
  /** Opened, then closed before anything arrives. */
  closedEarly: Set<Path>;
  /** Opened, and nothing ever arrives. */
  silent: Set<Path>;
  /** The head of an answer arrives, and its body never does. */
  stalled: Set<Path>;
  /** Only these tokens are taken; null: anything goes. */
  tokens: Set<string> | null;
  /** Channels that are refused with `forbidden`. */
  forbidden: Set<string>;
  /** 503 with this `Retry-After`. */
  retryAfterSeconds: number | null;
  latencyMs: () => number;
}

interface Connection {
  readonly path: Path;
  /** The peer sees the end; `half` leaves it waiting in silence. */
  kill(half: boolean): void;
  append(event: Stored): void;
  /** The token runs out in ten seconds. */
  warn?(): void;
  goodbye(retryMs: number): void;
}

const HEARTBEAT_MS = 25_000;

export class FakeServer {
  readonly clock = new Clock();
  readonly log = new FakeLog();
  readonly random: () => number;
  readonly faults: Faults = {
    down: false,
    refused: new Set(),
    blocked: new Set(),
    closedEarly: new Set(),
    silent: new Set(),
    stalled: new Set(),
    tokens: null,
    forbidden: new Set(),
    retryAfterSeconds: null,
    latencyMs: () => 20,
  };
  readonly connections = new Set<Connection>();
  /** Every request and frame, for assertions. */
  readonly requests: string[] = [];
  readonly frames: Record<string, unknown>[] = [];
  publishes = 0;
  #ids = 0;

  constructor(seed = 1) {
    this.random = seeded(seed);
  }

  publish(channel: string, data: unknown, event = "tick"): number {
    return this.append([{ channel, event, data }])[0] ?? 0;
  }

  append(publications: { channel: string; event?: string; data?: unknown; encoding?: "base64" }[]): number[] {
    const offsets = this.log.append(publications, this.clock.now);
    for (const event of this.log.events.slice(-offsets.length)) {
      for (const connection of [...this.connections]) connection.append(event);
    }
    return offsets;
  }

  /** Breaks open connections. */
  kill(path?: Path, half = false): void {
    for (const connection of [...this.connections])
      if (!path || connection.path === path) connection.kill(half);
  }

  goodbye(retryMs: number): void {
    for (const connection of [...this.connections]) connection.goodbye(retryMs);
  }

  warn(): void {
    for (const connection of this.connections) connection.warn?.();
  }

  open(path: Path): number {
    return [...this.connections].filter((connection) => connection.path === path).length;
  }

  environment(page: FakePage = new FakePage()): Environment {
    const { clock } = this;
    const server = this;
    return {
      now: () => clock.now,
      setTimeout: (run, delayMs) => clock.setTimeout(run, delayMs),
      clearTimeout: (timer) => clock.clearTimeout(timer),
      random: () => this.random(),
      randomId: () => `id-${++this.#ids}`,
      fetch: (url, request) => this.#fetch(new URL(url), request),
      WebSocket: class extends FakeSocket {
        constructor(url: string, protocols: string[]) {
          super(server, new URL(url), protocols);
        }
      },
      online: () => page.isOnline,
      onLifecycle: (listener) => page.listen(listener),
      locks: page.browser?.locksOf(page),
      broadcast: page.browser ? (name) => page.browser?.channel(name, page) as BroadcastLike : undefined,
    };
  }

  refuses(token: string | null): boolean {
    return this.faults.tokens !== null && !this.faults.tokens.has(token ?? "");
  }

  #fetch(url: URL, request: RequestLike): Promise<ResponseLike> {
    const wait = Number(url.searchParams.get("wait") ?? 0);
    const name = url.pathname.replace("/anywire/", "");
    const path = (name === "poll" && wait > 0 ? "long-poll" : name) as Path;
    this.requests.push(`${request.method} ${path}${url.search}`);
    return new Promise((give, reject) => {
      const fail = () => reject(new TypeError("fetch failed"));
      const stall = () =>
        new Promise<string>((_, end) =>
          request.signal.addEventListener("abort", () => end(new TypeError("cut off"))),
        );
      const resolve = (answer: ResponseLike) =>
        give(this.faults.stalled.has(path) ? { ...answer, text: stall } : answer);
      request.signal.addEventListener("abort", fail);
      if (request.signal.aborted) return fail();
      this.clock.setTimeout(() => {
        if (request.signal.aborted) return;
        if (this.faults.down || this.faults.refused.has(path)) return fail();
        if (this.faults.silent.has(path) && path !== "sse") return;
        const refusal = this.#refusal(path, url, request);
        if (refusal) return resolve(refusal);
        if (path === "sse") return resolve(this.#sse(url, request.signal));
        if (path === "publish") return this.#later(resolve, fail, this.#publish(request));
        this.#poll(url, wait, path, request.signal, (answer) => this.#later(resolve, fail, answer), fail);
      }, this.faults.latencyMs());
    });
  }

  /** The way back. The connection may break on it. */
  #later(resolve: (answer: ResponseLike) => void, fail: () => void, answer: ResponseLike): void {
    this.clock.setTimeout(() => (this.faults.down ? fail() : resolve(answer)), this.faults.latencyMs());
  }

  #refusal(path: Path, url: URL, request: RequestLike): ResponseLike | null {
    const { faults } = this;
    if (faults.retryAfterSeconds !== null) {
      const headers = { "Retry-After": String(faults.retryAfterSeconds) };
      return respond(503, { code: "shutting_down", message: "restarting" }, headers);
    }
    if (faults.blocked.has(path))
      return respond(403, { code: "transport_blocked", message: `${path} is blocked` });
    const token = request.headers.Authorization?.replace("Bearer ", "") ?? null;
    if (this.refuses(token)) return respond(401, { code: "token_expired", message: "the token has expired" });
    const channels = (url.searchParams.get("channels") ?? "").split(",");
    if (channels.some((channel) => faults.forbidden.has(channel)))
      return respond(403, { code: "forbidden", message: "no" });
    return null;
  }

  #publish(request: RequestLike): ResponseLike {
    this.publishes += 1;
    const body = JSON.parse(request.body ?? "{}");
    return respond(200, this.accept(body, request.headers["Idempotency-Key"] ?? null));
  }

  accept(body: { events?: [] } & Record<string, unknown>, key: string | null): Record<string, unknown> {
    const known = key === null ? undefined : this.log.keys.get(key);
    const offsets = known ?? this.append(body.events ?? [body as never]);
    if (key !== null) this.log.keys.set(key, offsets);
    return { cursor: this.log.cursor(offsets.at(-1)), offsets, ...(known ? { duplicate: true } : {}) };
  }

  #poll(
    url: URL,
    wait: number,
    path: Path,
    signal: AbortSignal,
    answer: (response: ResponseLike) => void,
    fail: () => void,
  ) {
    const channels = (url.searchParams.get("channels") ?? "").split(",");
    let after = url.searchParams.get("after");
    if (after === null && wait > 0) after = this.log.cursor();
    const now = this.#reading(channels, after);
    if (now || wait === 0) return answer(now ?? respond(204, null, { "Anywire-Cursor": after ?? "" }));
    const finish = (response: ResponseLike | null) => {
      this.clock.clearTimeout(timer);
      this.connections.delete(connection);
      signal.removeEventListener("abort", leave);
      if (response) answer(response);
    };
    const leave = () => finish(null);
    const timer = this.clock.setTimeout(
      () => finish(respond(204, null, { "Anywire-Cursor": after ?? "" })),
      wait * 1000,
    );
    const connection: Connection = {
      path,
      kill: (half) => {
        finish(null);
        if (!half) fail();
      },
      append: (event) => channels.includes(event.channel) && finish(this.#reading(channels, after)),
      goodbye: () => finish(respond(204, null, { "Anywire-Cursor": after ?? "" })),
    };
    this.connections.add(connection);
    signal.addEventListener("abort", leave);
  }

  /** Null: nothing new. The cursor is canonical. */
  #reading(channels: string[], after: string | null): ResponseLike | null {
    const reading = this.log.read(channels, after);
    if (!reading) return respond(400, { code: "invalid_cursor", message: "no cursor" });
    const { gap, events, start } = reading;
    if (after !== null && !gap && events.length === 0 && after !== "0") return null;
    const full = events.length > 1000;
    const page = events.slice(0, 1000);
    const cursor = this.log.cursor(page.at(-1)?.offset ?? start);
    const cache = full ? "public, max-age=3600, immutable" : "public, max-age=1";
    return respond(200, { cursor, events: page, gap }, { "Cache-Control": cache, "Anywire-Cursor": cursor });
  }

  #sse(url: URL, signal: AbortSignal): ResponseLike {
    const channels = (url.searchParams.get("channels") ?? "").split(",");
    const reading = this.log.read(channels, url.searchParams.get("after"));
    if (!reading) return respond(400, { code: "invalid_cursor", message: "no cursor" });
    const body = new FakeBody(this, signal);
    const block = (event: Stored) =>
      body.write(`id: ${this.log.cursor(event.offset)}\ndata: ${JSON.stringify(event)}\n\n`);
    const end = () => {
      this.connections.delete(connection);
      this.clock.clearTimeout(beat);
    };
    let beat: unknown = null;
    const rest = () => {
      this.clock.clearTimeout(beat);
      beat = this.clock.setTimeout(() => {
        body.write(positionBlock("heartbeat", this.log.cursor()));
        rest();
      }, HEARTBEAT_MS);
    };
    const connection: Connection = {
      path: "sse",
      kill: (half) => {
        end();
        body.end(half);
      },
      append: (event) => {
        if (!channels.includes(event.channel)) return;
        block(event);
        rest();
      },
      goodbye: (retryMs) => {
        body.write(`event: goodbye\nretry: ${retryMs}\ndata: {"retry_ms":${retryMs}}\n\n`);
        this.connections.delete(connection);
        this.clock.setTimeout(() => connection.kill(false), 1000);
      },
    };
    this.connections.add(connection);
    signal.addEventListener("abort", end);
    if (this.faults.closedEarly.has("sse")) connection.kill(false);
    else {
      body.write(`retry: 1000\n${positionBlock("open", this.log.cursor(reading.start))}`);
      if (reading.gap) body.write(`event: gap\ndata: ${JSON.stringify(reading.gap)}\n\n`);
      for (const event of reading.events) block(event);
      rest();
    }
    return {
      ...respond(200, null, { "Content-Type": "text/event-stream; charset=utf-8" }),
      body: { getReader: () => body },
    };
  }
}

/** A block that says nothing but where the stream stands. */
function positionBlock(name: string, cursor: string): string {
  return `id: ${cursor}\nevent: ${name}\ndata: ${JSON.stringify({ cursor })}\n\n`;
}

function respond(status: number, body: unknown, headers: Record<string, string> = {}): ResponseLike {
  const lower = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return {
    status,
    headers: { get: (name) => lower[name.toLowerCase()] ?? null },
    body: null,
    text: () => Promise.resolve(body === null ? "" : JSON.stringify(body)),
  };
}

/** A stream that arrives late, in order, in pieces of any size. */
class FakeBody implements BodyReader {
  readonly #server: FakeServer;
  readonly #signal: AbortSignal;
  readonly #pieces: Uint8Array[] = [];
  #arrivesAt = 0;
  #state: "open" | "ended" | "broken" = "open";
  #isCut = false;
  #isStalled = false;
  #wake: () => void = () => {};

  constructor(server: FakeServer, signal: AbortSignal) {
    this.#server = server;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake());
  }

  write(text: string): void {
    // What is held back stays held back: a stream never has a hole.
    this.#isStalled ||= this.#server.faults.silent.has("sse");
    if (this.#isStalled) return;
    const bytes = new TextEncoder().encode(text);
    const cut = Math.floor(this.#server.random() * bytes.length);
    for (const piece of [bytes.slice(0, cut), bytes.slice(cut)]) this.#arrive(() => this.#pieces.push(piece));
  }

  /** What has not arrived yet may be lost. */
  end(half: boolean): void {
    this.#isCut = true;
    if (half) return;
    this.#server.clock.setTimeout(() => {
      this.#state = this.#server.random() < 0.5 ? "ended" : "broken";
      this.#wake();
    }, 5);
  }

  #arrive(run: () => void): void {
    const { clock, faults } = this.#server;
    this.#arrivesAt = Math.max(this.#arrivesAt, clock.now + faults.latencyMs());
    clock.setTimeout(() => {
      if (this.#isCut) return;
      run();
      this.#wake();
    }, this.#arrivesAt - clock.now);
  }

  async read(): Promise<{ done: boolean; value?: Uint8Array }> {
    for (;;) {
      if (this.#signal.aborted) throw new TypeError("aborted");
      const value = this.#pieces.shift();
      if (value) return { done: false, value };
      if (this.#state === "ended") return { done: true };
      if (this.#state === "broken") throw new TypeError("network error");
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  cancel(): Promise<void> {
    return Promise.resolve();
  }
}

class FakeSocket implements SocketLike {
  readyState = 0;
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  onerror: SocketLike["onerror"] = null;
  readonly #server: FakeServer;
  readonly #channels = new Set<string>();
  readonly #connection: Connection;
  #token: string | null = null;
  #arrivesAt = 0;
  #sentAt = 0;
  #beat: unknown = null;
  #isCut = false;
  #isStalled = false;

  constructor(server: FakeServer, _url: URL, _protocols: string[]) {
    this.#server = server;
    server.requests.push("GET ws");
    this.#connection = {
      path: "ws",
      kill: (half) => this.#cut(half ? null : 1006),
      append: (event) => {
        if (this.#channels.has(event.channel)) this.#push({ op: "event", ...event });
      },
      warn: () => this.#push({ op: "error", code: "token_expired", message: "10 s left" }),
      goodbye: (retryMs) => {
        this.#push({ op: "goodbye", retry_ms: retryMs });
        this.#arrive(() => this.#cut(1012));
      },
    };
    const { faults, clock } = server;
    clock.setTimeout(() => {
      if (faults.down || faults.refused.has("ws") || faults.blocked.has("ws")) return this.#cut(1006);
      if (this.#isCut) return;
      this.readyState = 1;
      server.connections.add(this.#connection);
      this.onopen?.({} as never);
      if (faults.closedEarly.has("ws")) this.#cut(1006);
      this.#rest();
    }, faults.latencyMs());
  }

  send(text: string): void {
    const { clock, faults } = this.#server;
    const frame = JSON.parse(text);
    this.#sentAt = Math.max(this.#sentAt, clock.now + faults.latencyMs());
    clock.setTimeout(() => {
      this.#isStalled ||= faults.silent.has("ws");
      if (this.#isCut || this.#isStalled) return;
      this.#server.frames.push(frame);
      this.#take(frame);
    }, this.#sentAt - clock.now);
  }

  close(): void {
    this.readyState = 3;
    this.#isCut = true;
    this.#leave();
  }

  #leave(): void {
    this.#server.connections.delete(this.#connection);
    this.#server.clock.clearTimeout(this.#beat);
  }

  #cut(code: number | null): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#leave();
    if (code === null) return;
    this.#server.clock.setTimeout(() => {
      this.readyState = 3;
      this.onerror?.({} as never);
      this.onclose?.({ code, reason: "" });
    }, 5);
  }

  #push(frame: Record<string, unknown>): void {
    this.#isStalled ||= this.#server.faults.silent.has("ws");
    if (this.#isStalled) return;
    this.#rest();
    const text = JSON.stringify(frame);
    this.#arrive(() => this.onmessage?.({ data: text }));
  }

  #arrive(run: () => void): void {
    const { clock, faults } = this.#server;
    this.#arrivesAt = Math.max(this.#arrivesAt, clock.now + faults.latencyMs());
    clock.setTimeout(() => {
      if (!this.#isCut) run();
    }, this.#arrivesAt - clock.now);
  }

  #rest(): void {
    const { clock, log } = this.#server;
    clock.clearTimeout(this.#beat);
    this.#beat = clock.setTimeout(() => this.#push({ op: "heartbeat", cursor: log.cursor() }), HEARTBEAT_MS);
  }

  #take(frame: Record<string, unknown>): void {
    const server = this.#server;
    const { id } = frame;
    if (frame.op === "auth") {
      this.#token = frame.token as string;
      if (server.refuses(this.#token)) return this.#expel();
      return this.#push({ op: "authorized", id, expires_at: "" });
    }
    if (frame.op === "ping") return this.#push({ op: "pong", id });
    if (server.refuses(this.#token)) return this.#expel();
    if (frame.op === "subscribe") return this.#subscribe(frame);
    if (frame.op === "unsubscribe") {
      for (const channel of frame.channels as string[]) this.#channels.delete(channel);
      return this.#push({ op: "unsubscribed", id, channels: frame.channels });
    }
    if (frame.op === "publish") {
      server.publishes += 1;
      this.#push({ op: "published", id, ...server.accept(frame as never, frame.idempotency_key as string) });
    }
  }

  #expel(): void {
    this.#push({ op: "error", code: "unauthorized", message: "no" });
    this.#arrive(() => this.#cut(4001));
  }

  #subscribe(frame: Record<string, unknown>): void {
    const { log, faults } = this.#server;
    const channels = frame.channels as string[];
    const refused = channels.find((channel) => faults.forbidden.has(channel));
    if (refused) return this.#push({ op: "error", id: frame.id, code: "forbidden", message: refused });
    const reading = log.read(channels, (frame.after as string | undefined) ?? null);
    if (!reading)
      return this.#push({ op: "error", id: frame.id, code: "invalid_cursor", message: "no cursor" });
    for (const channel of channels) this.#channels.add(channel);
    this.#push({
      op: "subscribed",
      id: frame.id,
      channels,
      cursor: log.cursor(reading.start),
      heartbeat_ms: HEARTBEAT_MS,
    });
    if (reading.gap) this.#push({ op: "gap", ...reading.gap });
    for (const event of reading.events) this.#push({ op: "event", ...event });
  }
}

/** One tab. */
export class FakePage {
  isOnline = true;
  readonly browser: FakeBrowser | null;
  readonly #listeners = new Set<(event: LifecycleEvent) => void>();

  constructor(browser: FakeBrowser | null = null) {
    this.browser = browser;
  }

  listen(listener: (event: LifecycleEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  fire(event: LifecycleEvent): void {
    if (event === "online" || event === "offline") this.isOnline = event === "online";
    for (const listener of [...this.#listeners]) listener(event);
  }
}
