/**
 * Behind a stock nginx all four transports work, and none is held back: each event arrives before the next is
 * published.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { connect, type TransportName } from "../../../clients/typescript/src/index.ts";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";
import { until, within } from "../../../testing/until.mjs";
import { openBrowser, openContext } from "../../harness/browser.ts";
import { publish } from "../../harness/log.ts";
import { BEHIND_PROXY, Nginx } from "../../harness/nginx.ts";
import { curlLongPoll, curlSse, rawWebSocket, type Wire } from "../../harness/readers.ts";

const COUNT = 20;

let server: Server;
let nginx: Nginx;

beforeAll(async () => {
  server = await Server.start({ config: BEHIND_PROXY });
  nginx = await Nginx.start(server.port);
});

afterAll(async () => {
  await nginx?.stop();
  await server?.dispose();
});

/** Publishes through nginx one by one, each only when the one before has arrived. */
async function oneByOne(channel: string, seen: () => number): Promise<void> {
  for (let number = 1; number <= COUNT; number += 1) {
    await publish(nginx.url, [{ channel, event: "tick", data: number }]);
    await until(`event ${number} of ${COUNT} arrives before the next is published`, () => seen() >= number);
  }
}

const numbers = Array.from({ length: COUNT }, (_, index) => index + 1);

describe("without a client", () => {
  const wires: [string, Wire][] = [
    ["curl on SSE", curlSse],
    ["curl on long-poll", curlLongPoll],
    ["a raw WebSocket", rawWebSocket],
  ];
  for (const [name, wire] of wires) {
    test(`${name} gets each event before the next is published`, async () => {
      const channel = `plain-${wires.findIndex((one) => one[0] === name)}`;
      const seen: unknown[] = [];
      const take = ({ data }: { data: unknown }) => seen.push(data) < COUNT;
      const gap = () => expect.unreachable("a gap");
      const reader = wire({ url: nginx.url, channel, after: "0", enough: COUNT, take, gap });
      await oneByOne(channel, () => seen.length);
      await within(name, reader);
      expect(seen).toEqual(numbers);
    });
  }
});

describe("the TypeScript client", () => {
  for (const transport of ["websocket", "sse", "long-poll", "poll"] as TransportName[]) {
    test(`over ${transport} gets each event before the next is published`, async () => {
      const channel = `client-${transport}`;
      const seen: unknown[] = [];
      const connection = connect(nginx.url, {
        policy: { transports: [transport], pollIntervalMs: 100 },
        environment: { WebSocket: WebSocket as never },
      });
      connection.channel(channel, { after: "0" }).on("tick", (data) => seen.push(data));
      await oneByOne(channel, () => seen.length);
      expect(connection.status().transport).toBe(transport);
      connection.close();
      expect(seen).toEqual(numbers);
    });
  }
});

test("a job whose answer nginx compresses is not sent again while it is the same", async () => {
  const compressing = await Nginx.start(server.port, { gzip: true });
  const session = "compressed";
  await json(`${server.url}/api/progress`, { send: { session_id: session, title: "A", total_steps: 2 } });
  const ask = (headers: Record<string, string>) =>
    fetch(`${compressing.url}/api/progress/${session}`, {
      headers: { "Accept-Encoding": "gzip", ...headers },
    });
  const first = await ask({});
  const tag = first.headers.get("etag") ?? "";
  expect([first.status, first.headers.get("content-encoding")]).toEqual([200, "gzip"]);
  expect(tag).toMatch(/^W\//);
  const same = await ask({ "If-None-Match": tag });
  expect([same.status, await same.text()]).toEqual([304, ""]);
  await json(`${server.url}/api/progress/${session}/step`, { send: { name: "b" } });
  expect((await ask({ "If-None-Match": tag })).status).toBe(200);
  await compressing.stop();
});

test("EventSource in a browser gets each event before the next is published", async () => {
  const browser = await openBrowser();
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${nginx.url}/api/health`);
  const seen: unknown[] = [];
  await page.exposeFunction("arrived", (text: string) =>
    seen.push((JSON.parse(text) as { data: unknown }).data),
  );
  await page.evaluate(() => {
    const source = new EventSource("/anywire/sse?channels=browser&after=0");
    const { arrived } = window as unknown as { arrived: (text: string) => void };
    source.onmessage = ({ data }) => arrived(data);
  });
  await oneByOne("browser", () => seen.length);
  await browser.close();
  expect(seen).toEqual(numbers);
});
