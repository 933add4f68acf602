/** The monitor: values that are those of the system, a collector that stops, alerts, a day of history; as a person sees it. */
import { readFile } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { byId, dataOf, openBrowser, openContext, photograph } from "../harness/browser.ts";
import { observe, tell } from "../harness/evidence.ts";
import { busyCore, meminfo, processorTime, Reporter } from "../harness/monitor.ts";
import { Server } from "../harness/server.ts";
import { sleep, until } from "../harness/until.ts";

interface Sample {
  time: string;
  cpu: { percent: number; cores: number[] };
  load: number[];
  memory: { total: number; used: number; available: number };
  uptime_s: number;
}

let server: Server;
let browser: Browser;
let hook: HttpServer;
const posted: { state: string; rule: string }[] = [];
const pages: Page[] = [];

beforeAll(async () => {
  hook = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      posted.push(JSON.parse(body));
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await until("the webhook listens", () => hook.listening);
  const address = hook.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  server = await Server.start({
    config: `[monitor]\nwebhook_url = "http://127.0.0.1:${address.port}/alert"\n`,
  });
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
  hook?.close();
});

afterEach(async ({ task }) => {
  await tell(task, ...pages);
  for (const page of pages.splice(0)) await page.context().close();
});

async function open(mode: string, prepare?: (context: BrowserContext) => Promise<void>): Promise<Page> {
  const context = await openContext(browser);
  observe(context);
  await prepare?.(context);
  await context.addInitScript((key) => localStorage.setItem("anywire-monitor-mode", key), mode);
  const page = await context.newPage();
  pages.push(page);
  await page.goto(`${server.url}/monitor`);
  return page;
}

const json = async <T>(path: string): Promise<T> => (await (await fetch(server.url + path)).json()) as T;
const newest = (host?: string) => json<Sample>(`/api/performance${host ? `?host=${host}` : ""}`);

async function statusIs(page: Page, ...names: string[]): Promise<void> {
  await until(`the page is ${names.join(" or ")}`, async () =>
    names.includes((await dataOf(page, "monitor-status", "status")) ?? ""),
  );
}

async function shownPercent(page: Page, figure: string): Promise<number> {
  return Number(
    (await page.locator(`[data-figure="${figure}"] [data-testid="figure"]`).innerText()).replace(",", "."),
  );
}

async function chooseHost(page: Page, host: string): Promise<void> {
  await byId(page, "monitor-host").click();
  await page.locator(".n-base-select-option", { hasText: host }).click();
}

test("the four checks of the document: health, performance data, dashboard, data flow", async () => {
  expect(await json("/api/health")).toMatchObject({ status: "ok", ready: true });
  const first = await until("there is a sample", () => newest());
  expect(Object.keys(first)).toEqual(
    expect.arrayContaining(["time", "cpu", "load", "memory", "disks", "process", "delivery"]),
  );
  const page = await open("poll-1000");
  await statusIs(page, "fresh");
  const at = await dataOf(page, "monitor-tiles", "at");
  await until(
    "a newer sample has come to the page",
    async () => (await dataOf(page, "monitor-tiles", "at")) !== at,
  );
  const text = await byId(page, "monitor-raw-text").textContent();
  const shown = JSON.parse(text ?? "") as Sample;
  expect(Date.parse(shown.time)).toBeGreaterThan(Date.parse(first.time));
  const flow = await json<{ samples: Sample[] }>("/api/performance/history?after=0");
  expect(flow.samples.map((sample) => sample.time)).toContain(shown.time);
});

test("what is shown agrees with /proc within rounding", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  const before = {
    memory: await meminfo(),
    time: await processorTime(),
    load: await readFile("/proc/loadavg", "utf8"),
    at: Date.now(),
  };
  await sleep(8000);
  const sample = await newest();
  const after = {
    memory: await meminfo(),
    time: await processorTime(),
    load: await readFile("/proc/loadavg", "utf8"),
  };
  expect(sample.memory.total).toBe(before.memory("MemTotal"));
  expect(sample.memory.used + sample.memory.available).toBe(sample.memory.total);
  // Between two looks of ours, other programs take and give back; a tenth of all is far more than that.
  expect(Math.abs(sample.memory.available - after.memory("MemAvailable"))).toBeLessThan(
    sample.memory.total / 10,
  );
  const uptime = Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]);
  expect(Math.abs(sample.uptime_s - uptime)).toBeLessThan(10);
  const cores = (await readFile("/proc/stat", "utf8"))
    .split("\n")
    .filter((line) => /^cpu\d/.test(line)).length;
  expect(sample.cpu.cores.length).toBe(cores);
  // Processors: the samples of these seconds against the ticks of these seconds.
  const { samples } = await json<{ samples: Sample[] }>("/api/performance/history?after=0");
  const lately = samples.filter((one) => Date.parse(one.time) > before.at + 500);
  const mean = lately.reduce((sum, one) => sum + one.cpu.percent, 0) / lately.length;
  const ticks = ((after.time.busy - before.time.busy) / (after.time.whole - before.time.whole)) * 100;
  expect(Math.abs(mean - ticks)).toBeLessThan(15);
  const loads = [before.load, after.load].map((text) => Number(text.split(" ")[0]));
  expect(sample.load[0]).toBeGreaterThan(Math.min(...loads) - 0.6);
  expect(sample.load[0]).toBeLessThan(Math.max(...loads) + 0.6);
  await until("the page shows what the API says", async () => {
    const { memory } = await newest();
    return Math.abs((await shownPercent(page, "memory")) - (memory.used / memory.total) * 100) < 1;
  });
});

test("loading a core shows in the next samples", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  const stop = busyCore();
  try {
    const { cpu } = await newest();
    // One core at full is that share of all; some of it belongs to whoever else runs here.
    const share = 100 / cpu.cores.length;
    await until("the page shows a busy core", async () => (await shownPercent(page, "cpu")) >= share * 0.8);
    await until("the core itself is shown busy", async () =>
      page
        .locator("[data-core]")
        .evaluateAll((cores) => cores.some((core) => Number(core.getAttribute("data-percent")) >= 80)),
    );
  } finally {
    stop();
  }
});

test("a collector that stops is stale at once, leaves a hole, and goes on when it is back", async () => {
  let reporter = new Reporter(server.url, "web-1");
  try {
    await until("web-1 reports", () => newest("web-1"));
    const page = await open("stream-1000");
    await chooseHost(page, "web-1");
    await statusIs(page, "fresh");
    await until(
      "some samples are drawn",
      async () => Number(await page.locator('[data-chart="cpu"]').getAttribute("data-rows")) > 4,
    );
    await reporter.stop();
    const { time } = await newest("web-1");
    await statusIs(page, "stale");
    const at = await dataOf(page, "monitor-tiles", "at");
    // Long enough that nobody takes it for a late sample.
    await sleep(6000);
    expect((await newest("web-1")).time).toBe(time);
    expect(await dataOf(page, "monitor-tiles", "at")).toBe(at);
    await photograph(page, "monitor-stale");
    reporter = new Reporter(server.url, "web-1");
    await statusIs(page, "fresh");
    await until(
      "the hole stays in the chart",
      async () => (await page.locator('[data-chart="cpu"]').getAttribute("data-holes")) === "1",
    );
    const from = Date.parse(time) - 2000;
    const { samples } = await json<{ samples: (number | null)[][] }>(
      `/api/performance/history?host=web-1&from=${from}&step=1&fields=cpu`,
    );
    expect(samples.filter((row) => row[1] === null).length).toBe(1);
    expect(
      samples.some(
        (row) => row[1] === 0 && (row[0] ?? 0) > Date.parse(time) && (row[0] ?? 0) < Date.parse(time) + 5000,
      ),
    ).toBe(false);
    await photograph(page, "monitor-hole");
  } finally {
    await reporter.stop();
  }
});

test("a server that was away leaves no hole in the history of a host that went on", async () => {
  const reporter = new Reporter(server.url, "web-2");
  try {
    const page = await open("stream-1000");
    await statusIs(page, "fresh");
    const first = await until("web-2 reports", () => newest("web-2"));
    await server.kill();
    await statusIs(page, "stale");
    await sleep(3000);
    await server.boot();
    await statusIs(page, "fresh");
    const samples = await until("web-2 has sent what waited", async () => {
      const answer = await json<{ samples: (number | null)[][] }>(
        `/api/performance/history?host=web-2&from=${Date.parse(first.time)}&step=1&fields=cpu`,
      );
      return answer.samples.length > 8 ? answer.samples : null;
    });
    expect(samples.filter((row) => row[1] === null)).toEqual([]);
  } finally {
    await reporter.stop();
  }
});

test("an alert is shown, told as a notification and posted, and ends", async () => {
  const page = await open("stream-1000", async (context) => {
    await context.grantPermissions(["notifications"]);
    await context.addInitScript(() => {
      const told: string[] = [];
      class Told {
        static permission = "granted";
        static requestPermission = async () => "granted";
        onclick = null;
        constructor(title: string) {
          told.push(title);
        }
        close() {}
      }
      Object.assign(window, { Notification: Told, told });
      localStorage.setItem("anywire-notify", "on");
    });
  });
  await statusIs(page, "fresh");
  await byId(page, "rule-add").click();
  // The load is never below zero: this alert stands until the rule goes.
  await byId(page, "rule-raise").fill("-1");
  await byId(page, "rule-clear").fill("-2");
  await byId(page, "rule-for").fill("0");
  await byId(page, "rule-save").click();
  await byId(page, "alert-active").first().waitFor();
  await until("the browser was told", () =>
    page.evaluate(() => (window as unknown as { told: string[] }).told.length > 0),
  );
  await until("the webhook was told", () => posted.some((alert) => alert.state === "raised"));
  await photograph(page, "monitor-alert");
  const { rules } = await json<{ rules: { id: string; figure: string; raise: number; clear: number }[] }>(
    "/api/performance/alerts",
  );
  const over = rules.map((rule) => (rule.raise === -1 ? { ...rule, raise: 1e9, clear: 1e9 } : rule));
  await fetch(`${server.url}/api/performance/alerts`, {
    method: "PUT",
    body: JSON.stringify({ rules: over }),
  });
  await byId(page, "alert-past").first().waitFor();
  await until("the webhook was told of the end", () => posted.some((alert) => alert.state === "cleared"));
});

/** A day of samples like the newest one, with a wave in its processors and a night without any. */
async function reportDay(host: string): Promise<void> {
  const like = await newest();
  const now = Date.now();
  const start = now - 86_400_000 + 60_000;
  for (let from = start; from < now; from += 600_000) {
    const samples = [];
    for (let time = from; time < Math.min(now, from + 600_000); time += 1000) {
      const hour = (time - start) / 3_600_000;
      if (hour > 6 && hour < 7) continue;
      const percent = Math.round(500 + 400 * Math.sin(hour) + 50 * Math.sin(time / 7000)) / 10;
      samples.push({
        ...like,
        host: undefined,
        cursor: undefined,
        delivery: null,
        time: new Date(time).toISOString(),
        cpu: { percent, cores: [percent] },
      });
    }
    const body = JSON.stringify({ sent_at: new Date().toISOString(), samples });
    const answer = await fetch(`${server.url}/api/performance/hosts/${host}/samples`, {
      method: "POST",
      body,
    });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

test("a day is drawn as minutes with its hole, zoomed into seconds, and left again", async () => {
  await reportDay("archive");
  const page = await open("poll-5000");
  await chooseHost(page, "archive");
  await byId(page, "span-86400").click();
  const chart = page.locator('[data-chart="cpu"]');
  await until("the day is drawn", async () => {
    const rows = Number(await chart.getAttribute("data-rows"));
    return rows > 1300 && rows < 2500;
  });
  expect(Number(await chart.getAttribute("data-holes"))).toBeGreaterThanOrEqual(1);
  await photograph(page, "monitor-day");
  // The pictures changed the window: charts find their place again.
  const box = await until("the chart has its place", () => chart.locator(".u-over").boundingBox());
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.62, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await until(
    "the view is of the past",
    async () => (await dataOf(page, "monitor-charts", "view")) === "past",
  );
  await byId(page, "zoom-in").click();
  await byId(page, "pan-back").click();
  await until("it is finer than minutes", async () => Number(await chart.getAttribute("data-rows")) > 100);
  await byId(page, "monitor-now").click();
  await until("it is now again", async () => (await dataOf(page, "monitor-charts", "view")) === "live");
});

test("pausing stops everything, and going on fills in what was missed", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  const holes = await page.locator('[data-chart="cpu"]').getAttribute("data-holes");
  await byId(page, "monitor-pause").click();
  await statusIs(page, "paused");
  const at = await dataOf(page, "monitor-tiles", "at");
  await sleep(3500);
  expect(await dataOf(page, "monitor-tiles", "at")).toBe(at);
  await byId(page, "monitor-pause").click();
  await statusIs(page, "fresh");
  // The time of the pause was sampled all the same: it is read from the history and is no hole.
  expect(await page.locator('[data-chart="cpu"]').getAttribute("data-holes")).toBe(holes);
  await photograph(page, "monitor");
});
