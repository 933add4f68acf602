/**
 * Clients of server-sent events that are not ours, unmodified: each is idle, loses its connection, misses two
 * events and comes back.
 */
import { createInterface } from "node:readline";
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { EventSourcePolyfill } from "event-source-polyfill";
import { EventSource } from "eventsource";
import { EventSource as EventSource4 } from "eventsource-4";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { publish } from "../../harness/log.ts";
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
