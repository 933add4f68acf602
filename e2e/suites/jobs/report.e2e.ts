/**
 * A report whose progress is never lost: an upload that is cut off and goes on, nine steps that arrive live
 * over whatever wire is left, a server that dies in the middle.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { REPORT_STEPS } from "../../../console/src/apps/jobs/reportSteps.ts";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { byId, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import * as app from "../../harness/console.ts";
import { brokenFile, doubtfulFile, priceFile, type Sample } from "../../harness/csv.ts";
import { tell } from "../../harness/evidence.ts";
import { FaultyProxy, type Patch } from "../../harness/proxy.ts";

const NINE_STEPS: readonly string[] = REPORT_STEPS;
const PROBE_MS = 1000;
const LARGE = 50_000_000;
const SMALL = 400_000;
/**
 * Where the large upload is held up, so that it has a middle; in percent of the whole job its bytes are the
 * first half.
 */
const THIRD = LARGE / 3;
const HALF = LARGE / 2;

let server: Server;
let proxy: FaultyProxy;
let browser: Browser;
let page: Page;
let large: Sample;
let small: Sample;

beforeAll(async () => {
  [large, small] = await Promise.all([priceFile("FPT one minute.csv", LARGE), priceFile("FPT.csv", SMALL)]);
  browser = await openBrowser();
});

afterAll(() => browser?.close());

beforeEach(async () => {
  server = await Server.start({ lab: true });
  proxy = await FaultyProxy.start(server.port);
  page = await (await openContext(browser, { probeMs: PROBE_MS })).newPage();
});

afterEach(async ({ task }) => {
  await tell(task, page);
  await page?.context().close();
  await proxy?.stop();
  await server?.dispose();
});

interface JobState {
  readonly status: string;
  readonly steps: readonly { readonly index: number; readonly name: string }[];
  readonly result: { readonly report_url: string; readonly sha256: string; readonly rows: number } | null;
}

const state = (id: string) => json<JobState>(`${server.url}/api/progress/${id}`);

/** Upload requests go on where the server stood: never from the beginning again, never with a hole. */
function expectResumed(patches: readonly Patch[], size: number): void {
  let sent = 0;
  let before = 0;
  for (const patch of patches) {
    expect(patch.offset, "goes on, and not from the beginning").toBeGreaterThanOrEqual(before);
    // The bytes of a request that was cut may reach the server after the next one has begun.
    expect(patch.offset, "leaves nothing out").toBeLessThanOrEqual(sent);
    before = patch.offset;
    sent = Math.max(sent, patch.offset + patch.bytes);
  }
  // A request that begins where the one before it began means that nothing of that one arrived.
  const useful = patches.filter((patch, index) => patch.offset !== patches[index + 1]?.offset);
  const last = useful.at(-1);
  expect((last?.offset ?? 0) + (last?.bytes ?? 0)).toBe(size);
}

async function expectNineSteps(id: string): Promise<void> {
  expect((await app.steps(page)).map((step) => step.name)).toEqual(NINE_STEPS);
  expect((await state(id)).steps.map((step) => step.name)).toEqual(NINE_STEPS);
}

test("a 50 MB upload that is cut in the middle goes on where it stopped, and the nine steps arrive live", async () => {
  proxy.uploadHoldAt = THIRD;
  const id = await app.upload(page, proxy.url, large.path);
  await app.watchSteps(page);
  await until("a third of the upload has been sent", async () => (await app.percent(page)) >= 15);
  await photograph(page, "job-uploading");
  const before = await app.percent(page);
  proxy.cut();
  await app.notLive(page);
  await photograph(page, "job-offline");
  proxy.uploadHoldAt = HALF;
  proxy.mend();
  await until("the upload moves again", async () => (await app.percent(page)) > before + 2);
  // The steps come right after the last byte: whoever is to see them live must be there by then.
  await app.transportIs(page, "websocket");
  proxy.uploadHoldAt = Number.POSITIVE_INFINITY;
  await app.jobReaches(page, "succeeded");
  expectResumed(proxy.patches, large.bytes);
  expect((await state(id)).result).toMatchObject({ sha256: large.sha256, rows: large.rows });
  await expectNineSteps(id);
  const seen = await app.seenRunning(page);
  const order = seen.map((name) => NINE_STEPS.indexOf(name));
  expect(order, `${seen}`).toEqual([...order].sort((one, other) => one - other));
  expect(seen.length, `steps were seen running: ${seen}`).toBeGreaterThan(3);
  const frame = byId(page, "report-frame").contentFrame();
  await frame.locator("body").waitFor();
  await until("the report has charts", async () => (await frame.locator("svg, canvas, img").count()) > 0);
  await photograph(page, "job-report");
  const url = (await state(id)).result?.report_url ?? "";
  await page.goto(new URL(url, proxy.url).href);
  await photograph(page, "report");
});

test("the page moves down to SSE and long-poll and up again, and the steps are the same each time", async () => {
  await page.goto(`${proxy.url}/jobs`);
  const report = async (transport: app.Transport) => {
    await app.transportIs(page, transport);
    const id = await app.upload(page, proxy.url, small.path);
    await app.jobReaches(page, "succeeded");
    await expectNineSteps(id);
    return app.steps(page);
  };
  const first = await report("websocket");
  proxy.blockWebSocket = true;
  proxy.drop();
  await app.transportIs(page, "sse");
  expect(await report("sse")).toEqual(first);
  proxy.bufferSse = true;
  proxy.drop();
  await app.transportIs(page, "longpoll");
  expect(await report("longpoll")).toEqual(first);
  await photograph(page, "job-longpoll");
  proxy.bufferSse = false;
  await until("the page climbs", async () =>
    ["sse"].includes((await byId(page, "badge-transport").getAttribute("data-transport")) ?? ""),
  );
  proxy.blockWebSocket = false;
  await app.transportIs(page, "websocket");
  expect(await report("websocket")).toEqual(first);
});

test("a job that runs while the wire changes under it shows every step, over SSE and over long-poll", async () => {
  proxy.uploadHoldAt = THIRD;
  const id = await app.upload(page, proxy.url, large.path);
  await until("the upload has begun", async () => (await app.percent(page)) >= 4);
  proxy.blockWebSocket = true;
  proxy.drop();
  await app.transportIs(page, "sse");
  proxy.bufferSse = true;
  proxy.drop();
  await app.transportIs(page, "longpoll");
  proxy.uploadHoldAt = Number.POSITIVE_INFINITY;
  await app.jobReaches(page, "succeeded");
  expectResumed(proxy.patches, large.bytes);
  await expectNineSteps(id);
});

test("after kill -9 in the middle of an upload the page recovers by itself and the upload goes on", async () => {
  proxy.uploadHoldAt = THIRD;
  const id = await app.upload(page, proxy.url, large.path);
  await until("a quarter of the upload has been sent", async () => (await app.percent(page)) >= 12);
  await server.kill();
  await app.notLive(page);
  await server.boot();
  await app.transportIs(page, "websocket");
  proxy.uploadHoldAt = Number.POSITIVE_INFINITY;
  await until(
    "the job is done or waits for a retry",
    async () =>
      ["succeeded", "interrupted"].includes((await app.jobStatus(page)) ?? "") &&
      (await app.percent(page)) >= 50,
  );
  if ((await app.jobStatus(page)) === "interrupted") await byId(page, "job-retry").click();
  await app.jobReaches(page, "succeeded");
  expect((await state(id)).result).toMatchObject({ sha256: large.sha256 });
  await expectNineSteps(id);
});

test("after kill -9 between the steps the job is interrupted, and a retry finishes it", async () => {
  const id = await app.upload(page, proxy.url, large.path);
  await until("the steps after the upload have begun", async () => (await app.percent(page)) >= 50);
  await server.kill();
  await server.boot();
  await until("the job says how it stands", async () =>
    ["succeeded", "interrupted"].includes((await app.jobStatus(page)) ?? ""),
  );
  if ((await app.jobStatus(page)) === "interrupted") {
    await photograph(page, "job-interrupted");
    await byId(page, "job-retry").click();
  }
  await app.jobReaches(page, "succeeded");
  expect((await state(id)).result).toMatchObject({ sha256: large.sha256 });
});

test("a malformed file fails at its step with line and column, and a finished job is there after a restart", async () => {
  const done = await app.upload(page, proxy.url, small.path);
  await app.jobReaches(page, "succeeded");
  const broken = await app.upload(page, proxy.url, await brokenFile("broken.csv"));
  await app.jobReaches(page, "failed");
  await byId(page, "job-error").waitFor();
  expect(Number(await byId(page, "job-error-place").getAttribute("data-line"))).toBeGreaterThan(1);
  expect(await page.locator(".report").count(), "a failed job promises no report").toBe(0);
  await photograph(page, "job-failed");
  await server.kill();
  await server.boot();
  await page.goto(`${proxy.url}/jobs`);
  await page.locator(`[data-job-id="${done}"]`).waitFor();
  await page.locator(`[data-job-id="${broken}"]`).waitFor();
  await photograph(page, "jobs");
  await page.goto(`${proxy.url}/jobs/${done}`);
  await app.jobReaches(page, "succeeded");
  await expectNineSteps(done);
});

test("a report says what can be read in two ways and which rows are at fault, and is made anew in another reading", async () => {
  await app.upload(page, proxy.url, await doubtfulFile("places.csv"));
  await app.jobReaches(page, "succeeded");
  const report = byId(page, "report-frame").contentFrame();
  await report.locator(".doubts li").first().waitFor();
  expect(await report.locator(".faults").innerText()).toContain("4:12");
  const columns = () => report.locator("table.columns").innerText();
  expect(await columns()).toMatch(/lat\s+decimal/);
  await report.locator("summary").click();
  await report.locator("select[name=decimal]").selectOption("comma");
  await report.locator("form button").click();
  await until("the report is read with commas", async () => /lat\s+integer/.test(await columns()));
  await photograph(page, "job-report-reading");
});
