/**
 * The monitor: values that are those of the system, a collector that stops, alerts, a day of history, what
 * each way costs; as a person sees it.
 */
import { readFile } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";
import { sleep, until } from "../../../testing/until.mjs";
import { byId, dataOf, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { CostWatch, quietServer } from "../../harness/costs.ts";
import { observe, tell } from "../../harness/evidence.ts";
import { busyCore, exchange, meminfo, processorTime, Reporter } from "../../harness/monitor.ts";
import { longestTask } from "../../harness/tracing.ts";

/** A sample every five seconds, light: what a minute of it may move. */
const BRIEF_BYTES_MAX = 2048;
/** The processor time that a chart of a day may take from a page without a break. */
const TASK_MS_MAX = 100;

interface Sample {
  time: string;
  interval_ms: number;
  cpu: { percent: number; cores: number[] };
  load: number[];
  memory: { total: number; used: number; available: number };
  disks: { mount: string }[];
  uptime_s: number;
}

let server: Server;
let quiet: Server;
let browser: Browser;
/** Pages that measure a whole minute while the other tests run. */
let costs: { brief: CostWatch; full: CostWatch; poll: CostWatch };
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
  quiet = await quietServer();
  browser = await openBrowser();
  const watch = (mode: string) => CostWatch.open(browser, quiet, mode);
  costs = {
    brief: await watch("stream-5000"),
    full: await watch("stream-1000"),
    poll: await watch("poll-5000"),
  };
});

afterAll(async () => {
  await browser?.close();
  await quiet?.dispose();
  await server?.dispose();
  hook?.close();
});

afterEach(async ({ task }) => {
  await tell(task, ...pages);
  for (const page of pages.splice(0)) await page.context().close();
});

/** `mode` is what the visitor chose last time; null for a first visit. */
async function open(
  mode: string | null,
  prepare?: (context: BrowserContext) => Promise<void>,
): Promise<Page> {
  const context = await openContext(browser);
  observe(context);
  await prepare?.(context);
  if (mode) await context.addInitScript((key) => localStorage.setItem("anywire-monitor-mode", key), mode);
  const page = await context.newPage();
  pages.push(page);
  await page.goto(`${server.url}/monitor`);
  return page;
}

const get = <T>(path: string): Promise<T> => json<T>(server.url + path);
const newest = (host?: string) => get<Sample>(`/api/performance${host ? `?host=${host}` : ""}`);

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

async function choose(page: Page, list: string, option: string): Promise<void> {
  await byId(page, list).click();
  await page.locator(".n-base-select-option", { hasText: option }).click();
}

const chooseHost = (page: Page, host: string) => choose(page, "monitor-host", host);

/** Processors over time, a row a sample, as the server knows them; a row of null is a hole. */
async function cpuSince(from: number, host?: string): Promise<[time: number, cpu: number | null][]> {
  const query = `from=${from}&step=1&fields=cpu${host ? `&host=${host}` : ""}`;
  const { samples } = await get<{ samples: [number, number | null][] }>(`/api/performance/history?${query}`);
  return samples;
}

const holesOf = (rows: [number, number | null][]) => rows.filter(([, cpu]) => cpu === null).length;
const holesShown = async (page: Page) =>
  Number(await page.locator('[data-chart="cpu"]').getAttribute("data-holes"));

/** A sample in the moment in which it was taken, and what the system says in that moment. */
async function moment() {
  return until("a sample is seen as it is taken", async () => {
    const sample = await newest();
    const [ticks, memory] = [await processorTime(), await meminfo()];
    return Date.now() - Date.parse(sample.time) < 150 ? { sample, ticks, memory } : null;
  });
}

test("the four checks of the document: health, performance data, dashboard, data flow", async () => {
  expect(await get("/api/health")).toMatchObject({ status: "ok", ready: true });
  const first = await until("there is a sample", () => newest());
  expect(Object.keys(first)).toEqual(
    expect.arrayContaining(["time", "cpu", "load", "memory", "disks", "process", "delivery"]),
  );
  const page = await open(null);
  await statusIs(page, "fresh");
  expect(await byId(page, "monitor-mode").innerText()).toContain("Poll every 5 s");
  await choose(page, "monitor-mode", "Poll every 1 s");
  const at = await dataOf(page, "monitor-tiles", "at");
  await until(
    "a newer sample has come to the page",
    async () => (await dataOf(page, "monitor-tiles", "at")) !== at,
  );
  const text = await byId(page, "monitor-raw-text").textContent();
  const shown = JSON.parse(text ?? "") as Sample;
  expect(Date.parse(shown.time)).toBeGreaterThan(Date.parse(first.time));
  const flow = await get<{ samples: Sample[] }>("/api/performance/history?after=0");
  expect(flow.samples.map((sample) => sample.time)).toContain(shown.time);
});

test("raw data is the text of the answer, also while samples are streamed", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  await byId(page, "monitor-raw").locator("summary").click();
  const raw = await until("it is there", async () => {
    const text = (await byId(page, "monitor-raw-text").textContent()) ?? "";
    return text.startsWith("{") ? text : null;
  });
  const { cursor } = JSON.parse(raw) as { cursor: string };
  const sample = await (await fetch(`${server.url}/api/performance/history?after=0`)).text();
  const { time } = JSON.parse(raw) as Sample;
  const own = sample.slice(sample.indexOf(`{"time":"${time}"`));
  const percent = /"percent":([^,}]+)/;
  expect(raw).toContain(`"cursor": "${cursor}"`);
  expect(/"percent": ([^,\n]+)/.exec(raw)?.[1]).toBe(percent.exec(own)?.[1]);
});

test("what is shown agrees with /proc within rounding", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  const before = await moment();
  const from = Date.parse(before.sample.time);
  await until("eight more seconds were sampled", async () => (await cpuSince(from + 1)).length >= 8);
  const after = await moment();
  const { sample, memory } = after;
  // Processors: the samples between the two moments, each for as long as it covers, against the ticks between
  // them.
  let [covered, sum] = [0, 0];
  for (const [time, cpu] of (await cpuSince(from + 1)).filter(([, cpu]) => cpu !== null)) {
    if (time > Date.parse(sample.time)) break;
    sum += (cpu ?? 0) * (time - from - covered);
    covered = time - from;
  }
  const ticks = ((after.ticks.busy - before.ticks.busy) / (after.ticks.whole - before.ticks.whole)) * 100;
  expect(Math.abs(sum / covered - ticks)).toBeLessThan(5);
  expect(sample.memory.total).toBe(memory("MemTotal"));
  expect(sample.memory.used + sample.memory.available).toBe(sample.memory.total);
  // Between the two looks, other programs take and give back.
  expect(Math.abs(sample.memory.available - memory("MemAvailable"))).toBeLessThan(sample.memory.total / 20);
  const uptime = Number((await readFile("/proc/uptime", "utf8")).split(" ")[0]);
  const age = (Date.now() - Date.parse(sample.time)) / 1000;
  expect(Math.abs(sample.uptime_s + age - uptime)).toBeLessThan(2);
  const lines = (await readFile("/proc/stat", "utf8")).split("\n");
  expect(sample.cpu.cores.length).toBe(lines.filter((line) => /^cpu\d/.test(line)).length);
  // The system looks at its load every five seconds: now and then between our look and this one.
  await until("the load is the system's", async () => {
    const load = (await newest()).load.map((one) => one.toFixed(2)).join(" ");
    return (await readFile("/proc/loadavg", "utf8")).startsWith(`${load} `);
  });
  await until("the page shows what the API says", async () => {
    const { memory } = await newest();
    return Math.abs((await shownPercent(page, "memory")) - (memory.used / memory.total) * 100) < 1;
  });
  expect(await byId(page, "monitor-disks").locator("li").count()).toBe(sample.disks.length);
});

test("loading a core shows within one interval", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  const { cpu, interval_ms } = await newest();
  // One core at full is that share of all; some of it belongs to whoever else runs here.
  const enough = (100 / cpu.cores.length) * 0.8;
  const stop = await busyCore();
  try {
    // The first sample that covers nothing but the time in which the core was busy.
    const whole = Date.now() + interval_ms;
    const [, percent] = await until("it is sampled", async () => (await cpuSince(whole))[0]);
    expect(percent).toBeGreaterThanOrEqual(enough);
    await until("the page shows a busy core", async () => (await shownPercent(page, "cpu")) >= enough);
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
    await statusIs(page, "stale");
    const { time } = await newest("web-1");
    const at = await dataOf(page, "monitor-tiles", "at");
    // Long enough that nobody takes it for a late sample.
    await sleep(6000);
    expect((await newest("web-1")).time).toBe(time);
    expect(await dataOf(page, "monitor-tiles", "at")).toBe(at);
    await photograph(page, "monitor-stale");
    reporter = new Reporter(server.url, "web-1");
    await statusIs(page, "fresh");
    await until("the hole stays in the chart", async () => (await holesShown(page)) >= 1);
    const last = Date.parse(time);
    const rows = await cpuSince(last, "web-1");
    // The last sample, one row of nothing, and the first sample after it: no value in between, and no zero.
    expect(rows[0]?.[0]).toBe(last);
    expect(rows[1]?.[1]).toBe(null);
    expect(rows[2]?.[0]).toBeGreaterThan(last + 6000);
    expect(await holesShown(page)).toBeLessThanOrEqual(holesOf(await cpuSince(last - 60_000, "web-1")));
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
    await until("web-2 reports", () => newest("web-2"));
    await server.kill();
    const away = Date.now();
    await statusIs(page, "stale");
    await sleep(3000);
    const back = Date.now();
    await server.boot();
    await statusIs(page, "fresh");
    const rows = await until("web-2 has sent what waited", async () => {
      const found = await cpuSince(away - 5000, "web-2");
      return found.some(([time]) => time > back) ? found : null;
    });
    const times = rows.filter(([, cpu]) => cpu !== null).map(([time]) => time);
    expect(times.filter((time) => time > away && time < back).length).toBeGreaterThanOrEqual(2);
    const distances = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...distances)).toBeLessThan(back - away);
  } finally {
    await reporter.stop();
  }
});

test("a page that was cut off fills in what the server went on sampling", async () => {
  const page = await open("poll-1000");
  await statusIs(page, "fresh");
  const chart = page.locator('[data-chart="cpu"]');
  await until("some samples are drawn", async () => Number(await chart.getAttribute("data-rows")) > 2);
  await page.context().setOffline(true);
  const cut = Date.now();
  await statusIs(page, "stale");
  await until("the server has samples of that time", async () => (await cpuSince(cut)).length >= 5);
  await page.context().setOffline(false);
  await statusIs(page, "fresh");
  // What is a hole on the page is one at the server, too: on a machine that stands still there may be others.
  await until("the hole is filled", async () => {
    const [shown, known] = [await holesShown(page), holesOf(await cpuSince(cut - 330_000))];
    return shown <= known;
  });
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
        constructor(title: string, { tag }: { tag: string }) {
          told.push(`${tag}: ${title}`);
        }
        close() {}
      }
      Object.assign(window, { Notification: Told, told });
      localStorage.setItem("anywire-notify", "on");
    });
  });
  await statusIs(page, "fresh");
  await byId(page, "rule-add").click();
  // Processors are never less busy than not at all: this alert stands until the rule changes.
  await byId(page, "rule-raise").fill("-1");
  await byId(page, "rule-clear").fill("-2");
  await byId(page, "rule-for").fill("0");
  await byId(page, "rule-save").click();
  const alerts = "/api/performance/alerts";
  type Rules = { rules: { id: string; raise: number; clear: number }[] };
  const { rules, id } = await until("the rule is there", async () => {
    const { rules } = await get<Rules>(alerts);
    const id = rules.find((rule) => rule.raise === -1)?.id;
    return id ? { rules, id } : null;
  });
  // On a busy machine there may be other alerts: only those of this rule count.
  const told = (count: number) =>
    page.evaluate(
      ([id, count]) => {
        const all = (window as unknown as { told: string[] }).told;
        return all.filter((one) => one.includes(String(id))).length >= Number(count);
      },
      [id, count],
    );
  const hooked = (state: string) => posted.some((alert) => alert.rule === id && alert.state === state);
  await page.locator(`[data-testid="alert-active"][data-rule="${id}"]`).first().waitFor();
  await until("the browser was told", () => told(1));
  await until("the webhook was told", () => hooked("raised"));
  await photograph(page, "monitor-alert");
  const over = rules.map((rule) => (rule.id === id ? { ...rule, raise: 1e9, clear: 1e9 } : rule));
  await json(server.url + alerts, { method: "PUT", send: { rules: over } });
  await page.locator(`[data-testid="alert-past"][data-rule="${id}"]`).first().waitFor();
  await until("the browser was told of the end", () => told(2));
  await until("the webhook was told of the end", () => hooked("cleared"));
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
    const send = { sent_at: new Date().toISOString(), samples };
    await json(`${server.url}/api/performance/hosts/${host}/samples`, { send });
  }
}

test("a day is drawn as minutes with its hole, zoomed into seconds, and left again", async () => {
  await reportDay("archive");
  const page = await open("poll-5000");
  await chooseHost(page, "archive");
  const chart = page.locator('[data-chart="cpu"]');
  await until("its last minutes are drawn", async () => Number(await chart.getAttribute("data-rows")) > 10);
  const task = await longestTask(browser, page, async () => {
    await byId(page, "span-86400").click();
    await until("the day is drawn", async () => {
      const rows = Number(await chart.getAttribute("data-rows"));
      return rows > 1300 && rows < 2500;
    });
    // A few frames more: charts draw one after the other.
    await page.evaluate(() => new Promise((done) => setTimeout(done, 500)));
  });
  console.log(`a day: the longest task took ${task.toFixed(1)} ms of processor time`);
  expect(task).toBeLessThan(TASK_MS_MAX);
  expect(await chart.getAttribute("data-step")).toBe("60000");
  expect(await holesShown(page)).toBeGreaterThanOrEqual(1);
  await photograph(page, "monitor-day");
  // The pictures changed the window: charts find their place again.
  const box = await until("the chart has its place", () => chart.locator(".u-over").boundingBox());
  await page.mouse.move(box.x + box.width * 0.6, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.62, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await until("no chart keeps the rectangle", () =>
    page
      .locator(".u-select")
      .evaluateAll((all) => all.every((one) => one.getBoundingClientRect().width === 0)),
  );
  await until(
    "the view is of the past",
    async () => (await dataOf(page, "monitor-charts", "view")) === "past",
  );
  await byId(page, "zoom-in").click();
  await byId(page, "pan-back").click();
  await until("every chart shows that part, in seconds", async () => {
    const steps = await page
      .locator("[data-chart]")
      .evaluateAll((charts) => charts.map((chart) => chart.getAttribute("data-step")));
    return steps.length >= 6 && steps.every((step) => step === "0");
  });
  await byId(page, "monitor-now").click();
  const view = (name: string) =>
    until(`the view is ${name}`, async () => (await dataOf(page, "monitor-charts", "view")) === name);
  await view("live");
  await page.keyboard.press("ArrowLeft");
  await view("past");
  await page.keyboard.press("0");
  await view("live");
});

test("pausing stops everything, and going on fills in what was missed", async () => {
  const page = await open("stream-1000");
  await statusIs(page, "fresh");
  const holes = await holesShown(page);
  await page.keyboard.press("p");
  await statusIs(page, "paused");
  const began = Date.now();
  const at = await dataOf(page, "monitor-tiles", "at");
  await until("the server has samples of that time", async () => (await cpuSince(began)).length >= 4);
  expect(await dataOf(page, "monitor-tiles", "at")).toBe(at);
  await byId(page, "monitor-pause").click();
  await statusIs(page, "fresh");
  // The time of the pause was sampled all the same: it is read from the history and is no hole.
  const missing = holesOf(await cpuSince(began - 3000));
  expect(await holesShown(page)).toBeLessThanOrEqual(holes + missing);
  await photograph(page, "monitor");
});

test("a poll that finds nothing new moves less than 250 bytes, there and back", async () => {
  const seldom = await Server.start({ config: "[monitor]\ninterval_ms = 60000\n" });
  try {
    const ask = async () => {
      const tag = await until("there is a sample", async () => {
        const answer = await fetch(`${seldom.url}/api/performance`);
        return answer.ok ? answer.headers.get("etag") : null;
      });
      const request = `GET /api/performance HTTP/1.1\r\nHost: 127.0.0.1:${seldom.port}\r\nIf-None-Match: ${tag}\r\n\r\n`;
      return exchange(seldom.port, request);
    };
    // Once a minute there is something new between the two questions: then it is asked again.
    const { sent, received } = await until("nothing is new", async () => {
      const answer = await ask();
      return answer.received.startsWith("HTTP/1.1 304 ") ? answer : null;
    });
    console.log(`nothing new: ${sent} bytes there, ${received.length} bytes back`);
    expect(sent + received.length).toBeLessThan(250);
  } finally {
    await seldom.dispose();
  }
});

test("streaming makes no request and moves at most 2 KB a minute; the page says what the wire saw", async () => {
  const [brief, full, poll] = await Promise.all([
    costs.brief.minute(),
    costs.full.minute(),
    costs.poll.minute(),
  ]);
  expect(brief.wire.requests).toBe(0);
  expect(full.wire.requests).toBe(0);
  expect(poll.wire.requests).toBeGreaterThan(1);
  // One event may lie at both edges of a minute, or at none: counted is what twelve of them move, with all
  // that comes between.
  expect(brief.wire.briefs).toBeGreaterThan(6);
  expect((brief.wire.bytes / brief.wire.briefs) * 12).toBeLessThanOrEqual(BRIEF_BYTES_MAX);
  expect(full.shown.age).toBeLessThan(poll.shown.age);
  await photograph(costs.brief.page, "monitor-costs");
});
