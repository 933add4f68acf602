/**
 * Clients of server-sent events that are not ours, unmodified: each is idle, loses its connection, misses two
 * events and comes back; and each is still there when a server that was full or away is not any more.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { EventSourcePolyfill } from "event-source-polyfill";
import { EventSource } from "eventsource";
import { EventSource as EventSource4 } from "eventsource-4";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { clientsOf } from "../../harness/delivery.ts";
import { publish } from "../../harness/log.ts";
import { BEHIND_PROXY, Nginx } from "../../harness/nginx.ts";
import { FaultyProxy } from "../../harness/proxy.ts";
import { spawnPython } from "../../harness/python.ts";

/** Every block that a client hands on: its name and its data, which is JSON or an error. */
type Hear = (event: string, data: unknown) => void;
/** Opens a stream; what it answers ends it. */
type Open = (url: string, hear: Hear) => () => void;

/** A byte of the third letter is a line break to who reads Latin-1. */
const NAME = "Nguyễn";

let server: Server;
let proxy: FaultyProxy;
let close = () => {};

beforeAll(async () => {
  server = await Server.start({ config: "heartbeat_ms = 1000\n" });
  proxy = await FaultyProxy.start(server.port);
});

afterEach(() => {
  close();
  proxy.mend();
});

afterAll(async () => {
  await proxy.stop();
  await server.stop();
});

interface Source {
  addEventListener(name: string, listener: (message: MessageEvent) => void): void;
  close(): void;
}

const NAMES = ["message", "open", "heartbeat", "error"];

function listen(source: Source, hear: Hear): () => void {
  for (const name of NAMES)
    source.addEventListener(name, ({ data }) => {
      if (data !== undefined) hear(name, JSON.parse(data));
    });
  return () => source.close();
}

/** It was written for pages, and asks for these. */
function asPage(): void {
  const nothing = () => {};
  const document = { hidden: false, addEventListener: nothing, removeEventListener: nothing };
  Object.assign(globalThis, { window: globalThis, document });
}

const fetched: Open = (url, hear) => {
  asPage();
  const abort = new AbortController();
  void fetchEventSource(url, {
    signal: abort.signal,
    openWhenHidden: true,
    // As its manual says for streams that are not meant to end.
    onclose: () => {
      throw new Error("the stream ended");
    },
    onmessage: ({ event, data }) => hear(event || "message", JSON.parse(data)),
  });
  return () => abort.abort();
};

const inPython =
  (library: string): Open =>
  (url, hear) => {
    let isOver = false;
    const spawned = spawnPython("sse.py", [library, url]).then((child) => {
      if (isOver) return child.kill();
      child.stderr.pipe(process.stderr);
      createInterface({ input: child.stdout }).on("line", (line) => {
        const { event, data } = JSON.parse(line) as { event: string; data: unknown };
        hear(event, data);
      });
      close = () => child.kill();
      return true;
    });
    return () => {
      isOver = true;
      void spawned;
    };
  };

const CLIENTS: Readonly<Record<string, Open>> = {
  "@microsoft/fetch-event-source": fetched,
  "eventsource 4": (url, hear) => listen(new EventSource4(url) as unknown as Source, hear),
  "eventsource 5": (url, hear) => listen(new EventSource(url) as unknown as Source, hear),
  "event-source-polyfill": (url, hear) => listen(new EventSourcePolyfill(url) as unknown as Source, hear),
  "httpx-sse": inPython("httpx-sse"),
  requests: inPython("requests"),
};

test.each(Object.entries(CLIENTS))("%s misses nothing while it is away", async (library, open) => {
  const channel = `away_${library.replaceAll(/\W/g, "_")}`;
  const say = (n: number) => publish(server.url, [{ channel, data: { n, name: NAME } }]);
  const got: unknown[] = [];
  const heard = new Map<string, number>();
  close = open(`${proxy.url}/anywire/sse?channels=${channel}`, (event, data) => {
    heard.set(event, (heard.get(event) ?? 0) + 1);
    if (event === "message") got.push((data as { data: unknown }).data);
  });
  await until("the stream is open", () => heard.has("open"));
  // What others publish moves the place at which the client is.
  await publish(server.url, [{ channel: "elsewhere", data: 1 }]);
  await until("the client is idle", () => (heard.get("heartbeat") ?? 0) >= 2);
  proxy.cut();
  await say(1);
  await say(2);
  proxy.mend();
  await until("what it missed has come", () => got.length >= 2);
  await say(3);
  await until("it is live again", () => got.length >= 3);
  proxy.drop();
  await say(4);
  await until("it comes back after an event too", () => got.length >= 4);
  expect(got).toEqual([1, 2, 3, 4].map((n) => ({ n, name: NAME })));
  expect(heard.get("error") ?? 0).toBe(0);
});

test.each(Object.entries(CLIENTS))("%s waits while the server is full", async (library, open) => {
  const channel = `full_${library.replaceAll(/\W/g, "_")}`;
  const full = await Server.start({ config: "[limits]\nconnections_max = 3\n[monitor]\ncollect = false\n" });
  const holders = await Promise.all([1, 2, 3].map(() => hold(full.port)));
  try {
    const codes: unknown[] = [];
    const got: unknown[] = [];
    close = open(`${full.url}/anywire/sse?channels=${channel}`, (event, data) => {
      if (event === "error") codes.push((data as { code: unknown }).code);
      if (event === "message") got.push((data as { data: unknown }).data);
    });
    await until("it has been told twice", () => codes.length >= 2);
    for (const holder of holders) holder.destroy();
    await until("it is let in", async () => (await readersOf(full.url)).includes(channel));
    await publish(full.url, [{ channel, data: NAME }]);
    await until("it hears", () => got.length > 0);
    expect([got, new Set(codes)]).toEqual([[NAME], new Set(["too_many_connections"])]);
  } finally {
    close();
    await full.dispose();
  }
});

test.each(["eventsource 4", "eventsource 5"])(
  "%s outlives a proxy whose server is away, by the recipe",
  async (library) => {
    const away = await Server.start({ config: BEHIND_PROXY });
    const nginx = await Nginx.start(away.port, await recipe());
    try {
      const codes: unknown[] = [];
      const got: unknown[] = [];
      const open = CLIENTS[library] as Open;
      close = open(`${nginx.url}/anywire/sse?channels=away&after=0`, (event, data) => {
        if (event === "error") codes.push((data as { code: unknown }).code);
        if (event === "message") got.push((data as { data: unknown }).data);
      });
      await publish(away.url, [{ channel: "away", data: 1 }]);
      await until("it hears", () => got.length === 1);
      await away.kill();
      await until("it is told that the server is away", () => codes.length > 0);
      const plain = await fetch(`${nginx.url}/anywire/sse?channels=away`);
      expect(plain.status).toBe(503);
      await away.boot();
      await publish(away.url, [{ channel: "away", data: 2 }]);
      await until("it is back", () => got.length === 2);
      expect([got, new Set(codes)]).toEqual([[1, 2], new Set(["unreachable"])]);
    } finally {
      close();
      await nginx.stop();
      await away.dispose();
    }
  },
);

/** A connection that says nothing. */
async function hold(port: number): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

async function readersOf(url: string): Promise<readonly string[]> {
  const clients = await clientsOf({ url });
  return clients.flatMap(({ channels }) => channels);
}

/** What deploying.md has for a server that is away: the map, and what stands in the server's block. */
async function recipe(): Promise<{ http: string; server: string }> {
  const docs = await readFile(resolve(import.meta.dirname, "../../../docs/deploying.md"), "utf8");
  const block = /(map \$http_accept.*?\n})\n\nserver {\n {4}…\n(.*?)\n}\n```/s.exec(docs);
  if (!block?.[1] || !block[2]) throw new Error("the recipe is not where it was");
  return { http: block[1], server: block[2] };
}
