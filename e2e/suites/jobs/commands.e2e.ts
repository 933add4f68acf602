/**
 * Commands as live jobs: over curl through a stock nginx, over a browser's own EventSource, over the client's
 * preset; the queue and the output on the page; and a command of a terminal.
 */
import { writeFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { connect } from "../../../clients/typescript/src/index.ts";
import { followJob, type JobState, type Notice } from "../../../clients/typescript/src/jobs.ts";
import { json } from "../../../testing/http.mjs";
import { start as launch } from "../../../testing/program.mjs";
import { binary, environment, Server } from "../../../testing/server.mjs";
import { type Block, SseSplitter } from "../../../testing/sse.mjs";
import { until, within } from "../../../testing/until.mjs";
import { byId, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { BEHIND_PROXY, Nginx } from "../../harness/nginx.ts";
import { noneLeft } from "../../harness/processes.ts";
import { FaultyProxy } from "../../harness/proxy.ts";

const CONFIG = `
[jobs]
command_stop_ms = 500
[jobs.commands.wait]
title = "Wait for the signal"
argv = ["sh", "-c", "until [ -e {gate} ]; do sleep 0.05; done"]
[jobs.commands.talk]
title = "Build the site"
argv = ["sh", "-c", "for i in 1 2 3 4 5; do echo \\"[$i/5] Stage $i\\"; seq 60; echo \\"warning: stage $i\\" >&2; sleep 0.3; done; date > built.txt; until [ -e {gate} ]; do sleep 0.05; echo tick; done"]
`;

/** What one stage of \`talk\` writes: its name, sixty numbers, a warning. */
const STAGE_LINES = 62;

let server: Server;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await openBrowser();
});

afterAll(() => browser?.close());

beforeEach(async () => {
  server = await Server.start({ config: BEHIND_PROXY + CONFIG });
  page = await (await openContext(browser)).newPage();
});

afterEach(async () => {
  await page?.context().close();
  await server?.dispose();
});

const post = (path: string, send: unknown) => json(`${server.url}${path}`, { send });

const start = (id: string, steps: number) =>
  post("/api/progress", { session_id: id, title: id, total_steps: steps });
const step = (id: string, number: number) => post(`/api/progress/${id}/step`, { name: `step ${number}` });
const state = (id: string) => json<JobState>(`${server.url}/api/progress/${id}`);

interface Seen {
  readonly id: string;
  readonly name: string;
  readonly data: { step: number; steps: unknown[] };
}

/** `curl -N` after the last event that was seen, until it ends or is stopped; each block as it arrives. */
function curl(url: string, seen: Seen[]) {
  const before = seen.length;
  const last = seen.at(-1)?.id;
  const resume = last === undefined ? [] : ["-H", `Last-Event-ID: ${last}`];
  const child = launch("curl", ["-sN", ...resume, `${url}?after=0`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const take = ({ id, event, data }: Block) => {
    if (id && event && event !== "open" && event !== "heartbeat")
      seen.push({ id, name: event, data: JSON.parse(data ?? "null") });
  };
  const splitter = new SseSplitter(take);
  child.stdout?.on("data", (bytes: Uint8Array) => splitter.push(bytes));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  /** In the middle: this one has got something, and not everything. */
  const cut = async () => {
    await until("curl has got something", () => seen.length > before);
    child.kill("SIGKILL");
    await ended;
  };
  return { ended, cut };
}

test("curl through a stock nginx gets every event exactly once across three cuts, and polling ends with the same steps", async () => {
  const nginx = await Nginx.start(server.port);
  try {
    const url = `${nginx.url}/api/video-progress/a`;
    await start("a", 40);
    const seen: Seen[] = [];
    let reader = curl(url, seen);
    for (let number = 1; number <= 40; number += 1) {
      await step("a", number);
      // Three times the connection is cut while the job goes on.
      if (number % 10 === 0 && number < 40) await reader.cut();
      if (number % 10 === 3 && number > 10) reader = curl(url, seen);
    }
    await post("/api/progress/a/complete", {});
    await within("the stream ends with the job", reader.ended);
    expect(seen.map((one) => one.data.step)).toEqual([
      ...Array.from({ length: 41 }, (_, index) => index),
      40,
    ]);
    expect(seen.at(-1)?.name).toBe("completed");
    expect(new Set(seen.map((one) => one.id)).size).toBe(seen.length);
    expect(seen.at(-1)?.data.steps).toEqual((await state("a")).steps);
  } finally {
    await nginx.stop();
  }
});

test("a browser's own EventSource follows a job through a cut, and does not come again after its end", async () => {
  const proxy = await FaultyProxy.start(server.port);
  try {
    await start("a", 10);
    await page.goto(`${proxy.url}/api/health`);
    const seen: string[] = [];
    await page.exposeFunction("arrived", (word: string) => seen.push(word));
    await page.evaluate(() => {
      const arrived = (window as unknown as { arrived(word: string): void }).arrived;
      const source = new EventSource("/api/video-progress/a");
      for (const name of ["progress", "completed"])
        source.addEventListener(name, (event) => {
          const data = JSON.parse((event as MessageEvent<string>).data) as { step: number };
          arrived(`${name} ${data.step}`);
        });
      source.addEventListener("error", () => source.readyState === EventSource.CLOSED && arrived("closed"));
    });
    await until("the state comes first", () => seen.includes("progress 0"));
    for (let number = 1; number <= 4; number += 1) await step("a", number);
    await until("steps arrive", () => seen.includes("progress 4"));
    proxy.drop();
    for (let number = 5; number <= 8; number += 1) await step("a", number);
    await until("it came again by itself", () => seen.includes("progress 8"));
    await post("/api/progress/a/complete", {});
    // Closed for good: the server answers 204, and so a browser stops.
    await until("it stops", () => seen.includes("closed"));
    const steps = Array.from({ length: 9 }, (_, index) => `progress ${index}`);
    expect(seen).toEqual([...steps, "completed 8", "closed"]);
  } finally {
    await proxy.stop();
  }
});

test("the client's preset says that it polls, goes on by itself, and SSE and polling end with the same steps", async () => {
  const proxy = await FaultyProxy.start(server.port);
  try {
    await start("a", 20);
    const notices: Notice[] = [];
    const ends: JobState[] = [];
    const policy = { backoffMs: [50], pollIntervalMs: 100, probeMs: [300], openTimeoutMs: 1000 };
    const followed = followJob(
      proxy.url,
      "a",
      { onNotice: (notice) => notices.push(notice), onCompleted: (state) => ends.push(state) },
      { policy },
    );
    const watched = followJob(
      connect(proxy.url, { transports: ["poll"], policy: { pollIntervalMs: 50 } }),
      "a",
      {
        onCompleted: (state) => ends.push(state),
      },
    );
    await step("a", 1);
    await until(
      "it streams",
      () => followed.connection.status().transport === "sse" && followed.connection.status().state === "live",
    );
    const before = notices.length;
    proxy.bufferSse = true;
    proxy.drop();
    await until("it polls", () => notices.some((notice) => notice.kind === "polling"));
    expect(notices.slice(before).filter((notice) => notice.kind === "reconnecting")).toHaveLength(5);
    for (let number = 2; number <= 10; number += 1) await step("a", number);
    proxy.bufferSse = false;
    await until("it streams again", () => notices.at(-1)?.kind === "live");
    for (let number = 11; number <= 20; number += 1) await step("a", number);
    await post("/api/progress/a/complete", {});
    await until("both have the end", () => ends.length === 2);
    expect(ends[0]?.steps).toEqual(ends[1]?.steps);
    expect(ends[0]?.steps).toEqual((await state("a")).steps);
    followed.close();
    watched.close();
    watched.connection.close();
  } finally {
    await proxy.stop();
  }
});

test("twenty jobs wait in their order, two run, and the page shows their places", async () => {
  const gate = `${server.dir}/go`;
  for (let number = 1; number <= 20; number += 1)
    await post("/api/commands", { session_id: `job-${number}`, command: "wait", parameters: { gate } });
  await page.goto(`${server.url}/jobs?kind=command`);
  const row = (number: number) => byId(page, "job-row").and(page.locator(`[data-job-id="job-${number}"]`));
  const note = async (number: number) => row(number).locator(".note").innerText();
  await until("the last is eighteenth", async () => (await note(20)).includes("18"));
  await photograph(page, "jobs-queue");
  await post("/api/progress/job-3/cancel", {});
  await until("it moves up without a reload", async () => (await note(20)).includes("17"));
  await server.kill();
  await noneLeft(server.dir);
  await server.boot();
  await until("those that ran are interrupted, and the next two run", async () => {
    const states = await Promise.all(
      [1, 2, 4, 5, 6].map(async (number) => (await state(`job-${number}`)).status),
    );
    return states.join(" ") === "interrupted interrupted running running queued";
  });
});

test("the output follows, stands still while paused, and says what was cut; a reload has it all", async () => {
  await post("/api/commands", { session_id: "a", command: "talk", parameters: { gate: `${server.dir}/go` } });
  await page.goto(`${server.url}/jobs/a`);
  const lines = async () => Number(await byId(page, "job-log").getAttribute("data-lines"));
  await until("lines arrive", async () => (await lines()) > STAGE_LINES * 5);
  await byId(page, "log-follow").click();
  const before = await lines();
  await byId(page, "log-more").waitFor();
  expect(await lines()).toBe(before);
  await photograph(page, "command-paused");
  await byId(page, "log-more").click();
  await until("it goes on", async () => (await lines()) > before);
  await page.reload();
  await until("a reload has all of it", async () => (await lines()) > before);
  const numbers = await page.locator('[data-testid="job-log"] .n').allInnerTexts();
  expect(numbers.map(Number)).toEqual(numbers.map((_, index) => index + 1));
  await byId(page, "job-cancel").click();
  await until("it is cancelled", async () => (await state("a")).status === "cancelled");
  await noneLeft(server.dir);
  // This time it ends after its stages, and so with fewer lines, whenever one looks.
  writeFileSync(`${server.dir}/go`, "");
  await byId(page, "job-retry").click();
  await until("it ends with an output of its own", async () => {
    const now = await lines();
    return (await state("a")).status === "succeeded" && now > 0 && now <= STAGE_LINES * 5;
  });
});

test("a command of a terminal shows on the page under its link, and is cancelled from there", async () => {
  const argv = [
    "run",
    "--url",
    server.url,
    "--",
    "sh",
    "-c",
    "echo '[1/2] one'; echo talk; echo '[2/2] two'; sleep 600",
  ];
  const child = launch(binary(), argv, { stdio: ["ignore", "pipe", "pipe"], env: environment() });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  let said = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    said += bytes.toString();
  });
  const link = await until("the link is printed", () => /(http:\S+\/jobs\/\S+)\s/.exec(said)?.[1]);
  await page.goto(link);
  await until("its second step runs", async () => {
    const second = byId(page, "step").and(page.locator('[data-step-name="two"]'));
    return (await second.getAttribute("data-step-state")) === "running";
  });
  await until("its lines are there", async () =>
    (await page.locator('[data-testid="job-log"]').innerText()).includes("talk"),
  );
  await photograph(page, "command-terminal");
  await byId(page, "job-cancel").click();
  expect(await within("the command ends", ended)).not.toBe(0);
});

test("a command is started from the page", async () => {
  await page.goto(`${server.url}/jobs`);
  await byId(page, "command-choice").click();
  await page.locator(".n-base-select-option", { hasText: "Wait for the signal" }).click();
  const gate = byId(page, "command-parameter-gate").locator("input");
  await photograph(page, "jobs-commands");
  await gate.fill("/");
  await byId(page, "command-start").click();
  await page.waitForURL(/\/jobs\/[^/?]+$/);
  const id = new URL(page.url()).pathname.split("/").at(-1) ?? "";
  await until("it has ended", async () => (await state(id)).status === "succeeded");
  expect((await state(id)).title).toBe("Wait for the signal");
});
