/** What polling costs against streaming: the page's own figures against those of the wire it is on. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBrowser, openContext, photograph } from "../harness/browser.ts";
import { CountingWire, exchange } from "../harness/monitor.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

/** Room for one answer at either end of the minute. */
const SLACK_BYTES = 1800;
const BRIEF_BYTES_MAX = 2048;

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
});

test("a poll that finds nothing new moves less than 250 bytes, there and back", async () => {
  const quiet = await Server.start({ config: "[monitor]\ninterval_ms = 60000\n" });
  try {
    const first = await until("there is a sample", async () => {
      const answer = await fetch(`${quiet.url}/api/performance`);
      return answer.ok && answer.headers.get("etag");
    });
    const request = `GET /api/performance HTTP/1.1\r\nHost: 127.0.0.1:${quiet.port}\r\nIf-None-Match: ${first}\r\n\r\n`;
    const { sent, received } = await exchange(quiet.port, request);
    expect(received).toMatch(/^HTTP\/1\.1 304 /);
    console.log(`nothing new: ${sent} bytes there, ${received.length} bytes back`);
    expect(sent + received.length).toBeLessThan(250);
  } finally {
    await quiet.dispose();
  }
});

interface Measured {
  requests: number;
  bytes: number;
  age: number;
}

/** Opens the page over a wire that counts, waits until a whole minute was measured, and answers what the page says and what the wire saw. */
async function minute(
  mode: string,
): Promise<{ page: Page; shown: Measured; wire: { requests: number; bytes: number } }> {
  const wire = await CountingWire.start(server.port);
  const context = await openContext(browser);
  await context.addInitScript((key) => localStorage.setItem("anywire-monitor-mode", key), mode);
  const page = await context.newPage();
  await page.goto(`${wire.url}/monitor`);
  const row = page.locator(`[data-cost="${mode}"]`);
  await until("a minute was measured", async () => Number(await row.getAttribute("data-measured")) >= 60_000);
  const value = async (name: string) => Number(await row.getAttribute(`data-${name}`));
  const shown = { requests: await value("requests"), bytes: await value("bytes"), age: await value("age") };
  const seen = wire.since(Date.now() - 60_000);
  console.log(`${mode}: the page says ${JSON.stringify(shown)}, the wire ${JSON.stringify(seen)}`);
  return { page, shown, wire: seen };
}

test("streaming makes no request and moves at most 2 KB a minute; the page says what the wire saw", async () => {
  const [brief, full, poll] = await Promise.all([
    minute("stream-5000"),
    minute("stream-1000"),
    minute("poll-5000"),
  ]);
  expect(brief.wire.requests).toBe(0);
  expect(brief.shown.requests).toBe(0);
  expect(brief.wire.bytes).toBeLessThanOrEqual(BRIEF_BYTES_MAX);
  expect(Math.abs(brief.shown.bytes - brief.wire.bytes)).toBeLessThanOrEqual(200);
  expect(full.wire.requests).toBe(0);
  expect(Math.abs(full.shown.bytes - full.wire.bytes)).toBeLessThanOrEqual(2 * SLACK_BYTES);
  expect(Math.abs(poll.shown.requests - poll.wire.requests)).toBeLessThanOrEqual(1);
  expect(Math.abs(poll.shown.bytes - poll.wire.bytes)).toBeLessThanOrEqual(SLACK_BYTES);
  expect(full.shown.age).toBeLessThan(poll.shown.age);
  await photograph(brief.page, "monitor-costs");
});
