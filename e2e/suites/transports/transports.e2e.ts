/**
 * Readers over every wire follow one channel during a publish run, cut and moved all the while: all see the
 * same.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { connect, type TransportName } from "../../../clients/typescript/src/index.ts";
import { Server } from "../../../testing/server.mjs";
import { sleep, until, within } from "../../../testing/until.mjs";
import { openBrowser, openContext } from "../../harness/browser.ts";
import { type Event, publish } from "../../harness/log.ts";
import { FaultyProxy } from "../../harness/proxy.ts";
import { Random } from "../../harness/random.ts";
import { curlLongPoll, curlPoll, curlSse, hop, rawWebSocket } from "../../harness/readers.ts";

const CHANNEL = "run";
const EVENTS = 600;
const LAST = { last: true };
const isLast = (event: Event) => JSON.stringify(event.data) === JSON.stringify(LAST);

let server: Server;
let proxy: FaultyProxy;
let browser: Browser;
/**
 * Of the proxy's origin. It is there before anything is dropped: a page that is being loaded does not come
 * back by itself.
 */
let page: Page;

beforeAll(async () => {
  server = await Server.start();
  proxy = await FaultyProxy.start(server.port);
  browser = await openBrowser();
  page = await (await openContext(browser)).newPage();
  await page.goto(`${proxy.url}/api/health`);
});

afterAll(async () => {
  await browser?.close();
  await proxy?.stop();
  await server?.dispose();
});

/**
 * Publishes in batches of changing size until `enough`, at least {@link EVENTS}, and answers what the log
 * acknowledged.
 */
async function run(random: Random, enough: () => boolean): Promise<string[]> {
  const lines: string[] = [];
  let number = 0;
  while (number <= EVENTS || !enough()) {
    const batch = Array.from({ length: random.between(1, 8) }, () => {
      number += 1;
      return { channel: CHANNEL, event: "step", data: { number, text: `Bước ${number} ✓` } };
    });
    const receipt = await publish(server.url, batch);
    lines.push(...batch.map((event, index) => line(receipt.offsets[index] ?? 0, event.data)));
    await sleep(random.between(0, 25));
  }
  const receipt = await publish(server.url, [{ channel: CHANNEL, event: "step", data: LAST }]);
  lines.push(line(receipt.offsets[0] ?? 0, LAST));
  return lines;
}

const line = (offset: number, data: unknown) => `${offset} ${JSON.stringify(data)}`;
const lines = (events: readonly Event[]) => events.map((event) => line(event.offset, event.data));

/**
 * The client over the proxy, which drops everything now and then and blocks the best wires for a while; notes
 * the wires it was live on.
 */
async function followByClient(random: Random, wires: Set<TransportName>): Promise<Event[]> {
  const events: Event[] = [];
  const connection = connect(proxy.url, {
    environment: { WebSocket: WebSocket as never },
    policy: { probeMs: [300] },
  });
  connection.onStatus(({ state, transport }) => {
    if (state === "live" && transport) wires.add(transport);
  });
  let done = false;
  let dropped = 0;
  connection.channel(CHANNEL, { after: "0" }).on("*", (_data, event) => {
    events.push(event as unknown as Event);
    done = isLast(event as unknown as Event);
  });
  try {
    while (!done) {
      proxy.blockWebSocket = random.unit() < 0.5;
      // On a machine so slow that it is dropped while it opens it would never get anywhere.
      await until("the client has got more, or the last event", () => done || events.length > dropped);
      await sleep(random.between(50, 600));
      dropped = events.length;
      if (!done) proxy.drop();
    }
  } finally {
    connection.close();
    proxy.blockWebSocket = false;
  }
  return events;
}

/** The browser's own EventSource; it resumes by itself when the proxy drops it. */
async function followByEventSource(): Promise<Event[]> {
  const texts = await page.evaluate(
    ([channel, last]) =>
      new Promise<string[]>((resolve) => {
        const seen: string[] = [];
        const source = new EventSource(`/anywire/sse?channels=${channel}&after=0`);
        source.onmessage = ({ data }) => {
          seen.push(data);
          if (data.includes(last)) {
            source.close();
            resolve(seen);
          }
        };
      }),
    [CHANNEL, '"last":true'] as const,
  );
  return texts.map((text) => JSON.parse(text) as Event);
}

test("readers that hop over every wire during a publish run see identical sequences", async () => {
  const random = new Random();
  console.log(`seed ${random.seed}`);
  const all = { curlSse, curlPoll, curlLongPoll, rawWebSocket };
  const readers = {
    "curl on SSE": hop(server.url, CHANNEL, { curlSse }, random, isLast),
    "curl polling": hop(server.url, CHANNEL, { curlPoll, curlLongPoll }, random, isLast),
    "a raw WebSocket": hop(server.url, CHANNEL, { rawWebSocket }, random, isLast),
    "another wire each time": hop(server.url, CHANNEL, all, random, isLast),
  };
  const wires = new Set<TransportName>();
  const client = followByClient(random, wires);
  const source = followByEventSource();
  // However slow the machine is, the run goes on until the client has been live on two wires at least.
  const expected = await within(
    "the publish run",
    run(random, () => wires.size > 1),
  );
  for (const [name, reader] of Object.entries(readers)) {
    const seen = await within(name, reader);
    expect(lines(seen.events), name).toEqual(expected);
    expect(seen.gaps, name).toEqual([]);
  }
  expect((await readers["another wire each time"]).wires.size).toBeGreaterThan(1);
  expect(lines(await within("the client", client)), "the TypeScript client").toEqual(expected);
  expect(lines(await within("EventSource", source)), "EventSource").toEqual(expected);
});
