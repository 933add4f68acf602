/** The example of market prices: a file replayed into channels, shown as it comes, without a refresh. */
import type { ChildProcess } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readyWhen, start } from "../../../testing/program.mjs";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { publish } from "../../harness/log.ts";

let server: Server;
let browser: Browser;
let feed: ChildProcess;
let url = "";

beforeAll(async () => {
  const config = '[[retention]]\npattern = "price:*"\ndurable = false\nlatest = true\n';
  server = await Server.start({ config });
  browser = await openBrowser();
  const script = resolve(import.meta.dirname, "../../../examples/prices/feed.mjs");
  const args = [script, "--server", server.url, "--port", "0", "--speed", "100"];
  feed = start(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  if (!feed.stdout) throw new Error("no output");
  createInterface({ input: feed.stdout }).on("line", (line) => {
    url = /http:\S+/.exec(line)?.[0] ?? url;
  });
  await readyWhen("the feed", feed, () => url !== "");
});

afterAll(async () => {
  feed?.kill("SIGKILL");
  await browser?.close();
  await server?.dispose();
});

test("prices are shown as they come, and a page that was cut off goes on", async () => {
  const page = await (await openContext(browser)).newPage();
  await page.goto(url);
  const prices = () => page.locator("td.price").allInnerTexts();
  await until("every symbol has a price", async () =>
    (await prices()).every((price) => /^\d+\.\d\d$/.test(price)),
  );
  const before = await prices();
  await until("prices move without a refresh", async () => (await prices()).join() !== before.join());
  await until(
    "the chart has a line",
    async () => ((await page.locator("svg path").getAttribute("d")) ?? "").split("L").length > 5,
  );
  await photograph(page, "prices");
  feed.kill("SIGKILL");
  await server.kill();
  await until("the page says so", async () => (await page.locator("#state").innerText()) === "reconnecting");
  await server.boot();
  const trade = { symbol: "FPT", price: 999.5, volume: 100, time: new Date().toISOString() };
  await until("a price of another publisher is shown", async () => {
    await publish(server.url, [{ channel: "price:FPT", event: "trade", data: trade }]);
    return (await page.locator('tr[data-symbol="FPT"] td.price').innerText()) === "999.50";
  });
  expect(await page.locator("#state").innerText()).toBe("live");
});
