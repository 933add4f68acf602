/**
 * `socket.io-client` 4.8 as a page loads it, in Chromium: over each of its ways to connect, through a stock
 * nginx, from another origin, and across a server that is killed.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { openBrowser, openContext } from "../../harness/browser.ts";
import { publish } from "../../harness/log.ts";
import { BEHIND_PROXY, Nginx } from "../../harness/nginx.ts";
import { LOBBY_AND_CHAT, MODES, type Mode, modes } from "../../harness/socketio.ts";

const CLIENT = resolve(import.meta.dirname, "../../node_modules/socket.io-client/dist/socket.io.min.js");
const COUNT = 20;

interface PageSocket {
  connected: boolean;
  recovered: boolean;
  io: { engine: { transport: { name: string }; close(): void } };
  on(event: string, handler: (...args: unknown[]) => void): void;
  onAny(handler: (...args: unknown[]) => void): void;
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>;
  disconnect(): void;
}
declare global {
  interface Window {
    io(url: string, options: unknown): PageSocket;
    socket: PageSocket;
    heard: [string, ...unknown[]][];
  }
}

let server: Server;
let other: Server;
let nginx: Nginx;
let browser: Browser;
let script: string;

beforeAll(async () => {
  server = await Server.start({ config: `${BEHIND_PROXY}${LOBBY_AND_CHAT}recovery = true\n` });
  other = await Server.start();
  nginx = await Nginx.start(server.port);
  browser = await openBrowser();
  script = await readFile(CLIENT, "utf8");
});

afterAll(async () => {
  await browser?.close();
  await nginx?.stop();
  await other?.dispose();
  await server?.dispose();
});

/** A page of `origin` with a client that is connected to `url`. */
async function open(origin: string, url: string, mode: Mode): Promise<Page> {
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${origin}/api/health`);
  await page.evaluate(script);
  await page.evaluate(
    ([url, transports]) => {
      window.heard = [];
      window.socket = window.io(url, { transports, reconnectionDelay: 100, reconnectionDelayMax: 500 });
      window.socket.onAny((...heard) => window.heard.push(heard as [string, ...unknown[]]));
    },
    [url, [...MODES[mode]]] as const,
  );
  await until("the page's client is connected", () => page.evaluate(() => window.socket.connected));
  return page;
}

const heard = (page: Page, event: string): Promise<unknown[]> =>
  page.evaluate((event) => window.heard.filter(([name]) => name === event).map(([, data]) => data), event);

/** Publishes one by one, each only when the one before has arrived. */
async function oneByOne(page: Page, channel: string, event: string, from = 1): Promise<void> {
  for (let number = from; number < from + COUNT; number += 1) {
    await publish(server.url, [{ channel, event, data: number }]);
    await until(`event ${number} has arrived`, async () => (await heard(page, event)).at(-1) === number);
  }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

const places = [
  ["straight from the server", () => [server.url, server.url]],
  ["through a stock nginx", () => [nginx.url, nginx.url]],
  ["from a page of another origin", () => [other.url, server.url]],
] as const;

test.each(places)(
  "%s: over each transport, each event arrives before the next is published",
  async (_, place) => {
    const [origin, url] = place() as [string, string];
    for (const mode of modes) {
      const page = await open(origin, url, mode);
      const event = `tick-${mode}-${origin}`;
      await oneByOne(page, "lobby", event);
      expect(await heard(page, event)).toEqual(numbers(COUNT));
      const wanted = mode === "polling only" ? "polling" : "websocket";
      await until(
        `it uses ${wanted}`,
        async () => (await page.evaluate(() => window.socket.io.engine.transport.name)) === wanted,
      );
      await page.context().close();
    }
  },
);

test.each(modes)(
  "%s: rooms, acknowledgements and bytes work in a page, also across cuts and kill -9",
  async (mode) => {
    const page = await open(server.url, `${server.url}/chat`, mode);
    const answers = await page.evaluate(async () => {
      const joined = await window.socket.emitWithAck("subscribe", "page-room");
      const said = await window.socket.emitWithAck("file", { bytes: new Uint8Array([0, 1, 255]) });
      return [joined, said];
    });
    expect(answers).toMatchObject([{ ok: true, channels: ["page-room"] }, { ok: true }]);
    await until("the bytes came back", async () => (await heard(page, "file")).length > 0);
    const bytes = await page.evaluate(() => {
      const data = window.heard.find(([name]) => name === "file")?.[1] as { bytes: ArrayBuffer };
      return [...new Uint8Array(data.bytes)];
    });
    expect(bytes).toEqual([0, 1, 255]);

    const event = `through-${mode}`;
    await oneByOne(page, "chat", event);
    await page.evaluate(() => window.socket.io.engine.close());
    await oneByOne(page, "chat", event, COUNT + 1);
    await server.kill();
    await server.boot();
    await oneByOne(page, "chat", event, 2 * COUNT + 1);
    expect(await heard(page, event)).toEqual(numbers(3 * COUNT));
    expect(await heard(page, "gap")).toEqual([]);
    await page.context().close();
  },
);

test("a page loads the client from the server itself, and changes nothing but its address", async () => {
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${server.url}/api/health`);
  await page.addScriptTag({ url: "/socket.io/socket.io.js" });
  await page.evaluate(() => {
    window.heard = [];
    window.socket = window.io(location.origin, {});
    window.socket.onAny((...event) => window.heard.push(event as [string, ...unknown[]]));
  });
  await until("it is connected", () => page.evaluate(() => window.socket.connected));
  await publish(server.url, [{ channel: "lobby", event: "hello", data: 1 }]);
  await until("it hears", () => page.evaluate(() => window.heard.some(([name]) => name === "hello")));
  await page.close();
  for (const name of ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"]) {
    for (const file of [name, `${name}.map`]) {
      const url = `${server.url}/socket.io/${file}`;
      const answer = await fetch(url);
      const own = await readFile(resolve(CLIENT, "..", file), "utf8");
      expect([answer.status, await answer.text()]).toEqual([200, own]);
      const tag = answer.headers.get("ETag") ?? "";
      expect(answer.headers.get("Cache-Control")).toBe("no-cache");
      expect((await fetch(url, { headers: { "If-None-Match": tag } })).status).toBe(304);
    }
  }
  expect((await fetch(`${server.url}/socket.io/none.js`)).status).toBe(404);
});
