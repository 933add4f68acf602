/** The pipeline without Kafka: what a person sees and does, and the exact events over a native transport. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../../testing/folders.mjs";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { byId, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { transportIs } from "../../harness/console.ts";
import { tell } from "../../harness/evidence.ts";
import { counters, finished, logs, send } from "../../harness/pipeline.ts";

const SCHEMA = { type: "object", required: ["name"], properties: { value: { type: "number" } } };

/**
 * Shorter than the 25 s that are set elsewhere, so that a few of them pass; long enough for a machine that
 * stalls.
 */
const HEARTBEAT_MS = 5000;

let schema: string;
let server: Server;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  schema = join(await temporaryFolder("schema"), "schema.json");
  browser = await openBrowser();
});

afterAll(() => browser?.close());

beforeEach(async () => {
  await writeFile(schema, JSON.stringify(SCHEMA));
  server = await Server.start({
    config: `heartbeat_ms = ${HEARTBEAT_MS}\n[pipeline]\nschema = ${JSON.stringify(schema)}\nretry_min_ms = 5\n`,
  });
  page = await (await openContext(browser)).newPage();
});

afterEach(async ({ task }) => {
  await tell(task, page);
  await page?.context().close();
  await server?.dispose();
});

const shown = (id: string) => byId(page, id).locator(".value").first().textContent();
const reaches = (id: string, text: string) =>
  until(`${id} shows ${text}`, async () => ((await shown(id)) ?? "").replace(/\D/g, "") === text);

/**
 * Opens the page on a server whose consumer runs already: one that comes later makes the page ask who there
 * is.
 */
async function openSettled(): Promise<void> {
  await until("the consumer runs", async () => (await counters(server)).activeConsumers === 1);
  await page.goto(`${server.url}/pipeline`);
  await byId(page, "records").waitFor();
  await transportIs(page, "websocket");
}

test("a page on which nothing happens asks for nothing and hears nothing but heartbeats, well below 2 KB a minute", async () => {
  const frames: string[] = [];
  const requests: string[] = [];
  const note = ({ payload }: { payload: string | Buffer }) => frames.push(payload.toString());
  page.on("websocket", (socket) => socket.on("framereceived", note).on("framesent", note));
  await openSettled();
  page.on("request", (request) => requests.push(request.url()));
  const isHeartbeat = (frame: string) => frame.includes('"op":"heartbeat"');
  const isUpkeep = (frame: string) => /"op":"(heartbeat|ping|pong)"/.test(frame);
  const beats = () => frames.filter(isHeartbeat).length;
  const before = beats() + 1;
  await until("it settled", () => beats() >= before);
  frames.length = 0;
  await until("three heartbeats came", () => beats() >= 3);
  expect(requests).toEqual([]);
  expect(frames.filter((frame) => !isUpkeep(frame))).toEqual([]);
  const bytesPerMinute = (frames.join("").length / beats()) * (60_000 / HEARTBEAT_MS);
  expect(bytesPerMinute, "even at this pace").toBeLessThan(2048);
});

test("records appear as they are sent, and one that failed says why", async () => {
  const requests: string[] = [];
  await openSettled();
  await byId(page, "produce-send").click();
  await byId(page, "record").first().waitFor();
  await reaches("processed", "1");
  page.on("request", (request) => requests.push(request.url()));
  for (let n = 0; n < 20; n += 1)
    expect((await send(server, { name: `record ${n}`, value: n })).status).toBe(201);
  await send(server, { value: "no name" });
  await reaches("total", "22");
  await reaches("failed", "1");
  expect(requests, "nothing is asked for while it is live").toEqual([]);
  await byId(page, "filter-FAILED").click();
  await until("only the failed one is shown", async () => (await byId(page, "record").count()) === 1);
  await photograph(page, "pipeline");
  await byId(page, "record").click();
  await byId(page, "record-value").waitFor();
  expect(await byId(page, "record-error").textContent()).toContain('"name" is a required property');
  expect(await byId(page, "record-value").textContent()).toContain('"value": "no name"');
  await photograph(page, "pipeline-record");
  await byId(page, "retry").click();
  await until(
    "it was tried again",
    async () => (await page.locator("dd.num", { hasText: /^2$/ }).count()) > 0,
  );
});

test("numbers go as they are typed, and are shown as they came", async () => {
  await openSettled();
  const typed = '{ "name": "n", "value": 9007199254740993, "money": 1.10, "huge": 1E400, "small": -0.0 }';
  await byId(page, "produce-value").locator("textarea").fill(typed);
  await byId(page, "produce-send").click();
  await reaches("processed", "1");
  await byId(page, "record").click();
  await byId(page, "record-value").waitFor();
  const shown = (await byId(page, "record-value").textContent()) ?? "";
  for (const member of ['"value": 9007199254740993,', '"money": 1.10,', '"huge": 1E400,', '"small": -0.0'])
    expect(shown).toContain(member);
  const [entry] = await logs(server);
  const record = await json<{ record: { value: { text: string } } }>(
    `${server.url}/api/consumers/logs/${entry?.logId}`,
  );
  expect(record.record.value.text).toBe(typed);
});

test("the list stands still on demand and counts what waits", async () => {
  await page.goto(`${server.url}/pipeline`);
  await byId(page, "records").waitFor();
  await byId(page, "pause").click();
  for (let n = 0; n < 5; n += 1) await send(server, { name: `record ${n}` });
  await until("five wait", async () => (await byId(page, "resume").textContent())?.includes("5"));
  expect(await byId(page, "record").count()).toBe(0);
  await byId(page, "resume").click();
  await until("they are shown", async () => (await byId(page, "record").count()) === 5);
});

test("a dropped CSV file is sent in batches, and ten thousand records stay a few rows of the page", async () => {
  await page.goto(`${server.url}/pipeline`);
  await byId(page, "records").waitFor();
  const rows = Array.from({ length: 1000 }, (_, n) => `name ${n},${n}`).join("\n");
  const file = { name: "names.csv", mimeType: "text/csv", buffer: Buffer.from(`name,value\n${rows}\n`) };
  await byId(page, "csv-input").setInputFiles(file);
  await reaches("processed", "10");
  expect(await byId(page, "record").first().textContent()).toContain("100 rows");
  const batch = 100;
  for (let done = 0; done < 10_000; done += batch) {
    await Promise.all(Array.from({ length: batch }, (_, n) => send(server, { name: `record ${done + n}` })));
  }
  await finished(server, 10_010);
  await reaches("processed", "10010");
  expect(await byId(page, "record").count()).toBeLessThan(60);
  const list = byId(page, "record-rows");
  const oldest = (await logs(server)).at(-1)?.logId ?? "";
  await until("the oldest that is held is on screen", async () => {
    // The counters may be ahead of the list, whose end moves until it has all.
    await list.evaluate((element) => element.scrollTo({ top: element.scrollHeight }));
    return (await byId(page, "record").last().getAttribute("data-id")) === oldest;
  });
  await photograph(page, "pipeline-full");
});

test("consumers are stopped and started from the page; records wait meanwhile", async () => {
  await page.goto(`${server.url}/pipeline`);
  await byId(page, "stop-consumer").click();
  await page.locator('[data-testid="consumer"][data-status="INACTIVE"]').waitFor();
  await send(server, { name: "waits" });
  expect((await counters(server)).totalMessages).toBe(0);
  await byId(page, "start-consumer").click();
  await page.locator('[data-testid="consumer"][data-status="ACTIVE"]').waitFor();
  await reaches("processed", "1");
});
