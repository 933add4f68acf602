/**
 * The console's network lab: four faults in turn, and a counter that proves that nothing was lost or
 * repeated.
 */
import { once } from "node:events";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";
import { until, within } from "../../../testing/until.mjs";
import { byId, dataOf, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import * as app from "../../harness/console.ts";
import { clientsOf } from "../../harness/delivery.ts";
import { tell } from "../../harness/evidence.ts";
import { publish } from "../../harness/log.ts";

const PROBE_MS = 1000;

let server: Server;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  server = await Server.start({ lab: true });
  browser = await openBrowser();
  page = await (await openContext(browser, { probeMs: PROBE_MS })).newPage();
});

afterEach(({ task }) => tell(task, page));

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
});

const count = async (name: string) => Number(await dataOf(page, `lab-${name}`, "value"));

/** Counting goes on after a fault. */
async function arrivesAgain(): Promise<void> {
  const before = await count("received");
  await until("events arrive", async () => (await count("received")) > before + 5);
  expect(await count("missing")).toBe(0);
  expect(await count("repeated")).toBe(0);
}

async function toggle(name: string, on: boolean): Promise<void> {
  await byId(page, name).click();
  await until(`${name} is ${on}`, async () => (await dataOf(page, name, "on")) === String(on));
}

const labState = () => json<{ cut_until: string | null }>(`${server.url}/api/lab`);

/**
 * A client that names itself is one entry, whichever way it reads. While it changes its transport there may
 * be two.
 */
async function oneEntryEach(): Promise<void> {
  await until("every client is listed once", async () => {
    const listed = (await clientsOf(server)).map(({ client, transport }) => `${client} ${transport}`);
    const names = new Set(listed.map((entry) => entry.split(" ")[0]));
    if (names.size < listed.length) throw new Error(listed.join(", "));
    return true;
  });
}

test("the cut ends every connection, also one on which nothing happens", async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/anywire/ws?client=idle`, "anywire.v1");
  socket.on("error", () => socket.terminate());
  const closed = once(socket, "close");
  await once(socket, "open");
  socket.send(JSON.stringify({ op: "subscribe", id: 1, channels: ["idle"] }));
  await once(socket, "message");
  await json(`${server.url}/api/lab`, { send: { cut_ms: 1000 } });
  try {
    await within("the cut", closed, 20_000);
    await until("the cut is over", async () => (await labState()).cut_until === null);
    await until("it is no longer listed", async () =>
      (await clientsOf(server)).every(({ client }) => client !== "idle"),
    );
  } finally {
    socket.terminate();
  }
});

test("four faults in turn lose nothing and repeat nothing", async () => {
  await page.goto(`${server.url}/delivery`);
  await byId(page, "lab-start").click();
  await arrivesAgain();
  await app.transportIs(page, "websocket");
  await photograph(page, "delivery");

  await toggle("lab-block-websocket", true);
  await app.transportIs(page, "sse");
  await arrivesAgain();

  await toggle("lab-buffer-sse", true);
  await app.transportIs(page, "longpoll");
  await arrivesAgain();
  await photograph(page, "delivery-longpoll");
  await oneEntryEach();

  await toggle("lab-buffer-sse", false);
  await toggle("lab-block-websocket", false);
  await app.transportIs(page, "websocket");
  await arrivesAgain();

  await app.breaks(page, () => byId(page, "lab-cut").click());
  await photograph(page, "delivery-cut");
  await app.transportIs(page, "websocket");
  await arrivesAgain();

  await app.breaks(page, () => byId(page, "lab-restart").click());
  await app.transportIs(page, "websocket");
  await arrivesAgain();

  await byId(page, "lab-stop").click();
  await until("all of it has arrived", async () => (await dataOf(page, "lab-proof", "phase")) === "settled");
  expect(await count("missing")).toBe(0);
  expect(await count("repeated")).toBe(0);
  expect(await count("received")).toBe(await count("published"));
  await photograph(page, "delivery-settled");
});

test("the clients table names this page", async () => {
  await page.goto(`${server.url}/delivery`);
  await app.transportIs(page, "websocket");
  await until("the table has a row of a console", async () => {
    const names = await byId(page, "client-row").evaluateAll((rows) =>
      rows.map((row) => row.getAttribute("data-client") ?? ""),
    );
    return names.some((name) => name.startsWith("console-"));
  });
});

test("the overview shows what happens, in English and in Vietnamese", async () => {
  await page.goto(`${server.url}/overview`);
  await app.transportIs(page, "websocket");
  for (let number = 0; number < 200; number += 1)
    await publish(server.url, [{ channel: "overview-e2e", data: number }]);
  await byId(page, "overview-health").waitFor();
  await photograph(page, "overview");
  await byId(page, "locale-toggle").click();
  await photograph(page, "overview-vi");
  await byId(page, "locale-toggle").click();
});
