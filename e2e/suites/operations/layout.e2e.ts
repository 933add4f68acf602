/**
 * Every page at the widths between a phone and a wide desk, in both languages: nothing crosses its card's
 * edge, nothing makes the page wider. And nothing on it moves for ever: that alone would cost a browser more
 * than all events together.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { byId, dataOf, openBrowser, openContext } from "../../harness/browser.ts";
import { transportIs } from "../../harness/console.ts";
import { tell } from "../../harness/evidence.ts";
import { send } from "../../harness/pipeline.ts";

const WIDTHS = [320, 360, 390, 600, 768, 900, 1024, 1200, 1280, 1366, 1440, 1920];
/** From a usual laptop on, all columns of the tables are seen at once. */
const LAPTOP = 1280;
/** Nothing comes later than that which would make it fit. */
const SETTLED_MS = 10_000;
const LANGUAGES = ["en-GB", "vi-VN"];

let server: Server;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  await until("a record is in the pipeline", async () => (await send(server, { name: "a record" })).ok);
});

afterEach(async ({ task }) => {
  await tell(task, page);
  await page?.context().close();
});

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
});

/**
 * What does not fit at the page's present width, in words; `tables` says whether a list that scrolls sideways
 * is a fault too.
 */
async function misfits(tables: boolean): Promise<string[]> {
  return page.evaluate(async (tables) => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const found: string[] = [];
    const wider = document.documentElement.scrollWidth - window.innerWidth;
    if (wider > 0) found.push(`the page is ${wider} px wider than its window`);
    const clips = (element: Element) => getComputedStyle(element).overflowX !== "visible";
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode.textContent?.trim();
      const parent = texts.currentNode.parentElement;
      const card = parent?.closest(".card");
      if (!text || !parent || !card || parent.closest(".visually-hidden")) continue;
      const range = document.createRange();
      range.selectNodeContents(texts.currentNode);
      const { right, width } = range.getBoundingClientRect();
      let around: Element | null = parent;
      while (around && around !== card && !clips(around)) around = around.parentElement;
      const over = right - card.getBoundingClientRect().right;
      if (width > 0 && around === card && over > -2)
        found.push(`"${text}" crosses its card's edge by ${over} px`);
    }
    const records = document.querySelector('[data-testid="record-rows"]');
    const clients = document.querySelector('[data-testid="clients-table"]')?.parentElement;
    for (const list of tables ? [records, clients] : []) {
      const hidden = list ? list.scrollWidth - list.clientWidth : 0;
      if (hidden > 0) found.push(`${hidden} px of a list's columns are out of sight`);
    }
    return found;
  }, tables);
}

async function fitsEveryWidth(): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    // Charts follow the width a frame or two later.
    await until(
      `everything fits ${width} px`,
      async () => {
        const found = await misfits(width >= LAPTOP);
        if (found.length > 0) throw new Error(found.join("; "));
        return true;
      },
      SETTLED_MS,
    );
  }
}

/** The animations that end only with the page. */
const endless = () =>
  page.evaluate(() =>
    document.getAnimations().flatMap((animation) => {
      const { effect } = animation;
      if (!(effect instanceof KeyframeEffect) || effect.getTiming().iterations !== Infinity) return [];
      return [`${(animation as CSSAnimation).animationName} on .${effect.target?.className}`];
    }),
  );

const PAGES: [path: string, shows: string][] = [
  ["/", "connections"],
  ["/jobs", "job-list"],
  ["/monitor", "monitor-tiles"],
  ["/pipeline", "record"],
  ["/delivery", "client-row"],
];

for (const locale of LANGUAGES) {
  test.each(PAGES)(`%s fits every width in ${locale}`, async (path, shows) => {
    page = await (await openContext(browser, { locale })).newPage();
    await page.goto(`${server.url}${path}`);
    await transportIs(page, "websocket");
    await byId(page, shows).first().waitFor();
    await fitsEveryWidth();
  });

  test(`the page of a job fits every width in ${locale}`, async () => {
    page = await (await openContext(browser, { locale })).newPage();
    await page.goto(`${server.url}/jobs`);
    await byId(page, "upload-sample").click();
    await until(
      "the report is ready",
      async () => (await dataOf(page, "job-status", "status")) === "succeeded",
    );
    await fitsEveryWidth();
  });
}

test.each(PAGES)("nothing on %s moves for ever while nothing happens", async (path, shows) => {
  page = await (await openContext(browser)).newPage();
  await page.goto(`${server.url}${path}`);
  await transportIs(page, "websocket");
  await byId(page, shows).first().waitFor();
  // What turns while something loads ends with that.
  await until("nothing moves", async () => {
    const found = await endless();
    if (found.length > 0) throw new Error(found.join("; "));
    return true;
  });
});
