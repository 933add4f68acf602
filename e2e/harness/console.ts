/** The console as a person uses it: by what is on the page. */
import type { Page } from "playwright-core";
import { until, within } from "../../testing/until.mjs";
import { byId, dataOf } from "./browser.ts";

export type Transport = "websocket" | "sse" | "longpoll" | "poll";

export interface StepView {
  readonly index: string | null;
  readonly name: string | null;
}

export async function transportIs(page: Page, transport: Transport): Promise<void> {
  await until(`the page is live over ${transport}`, async () => {
    const state = await dataOf(page, "badge-transport", "state");
    const now = await dataOf(page, "badge-transport", "transport");
    return state === "live" && now === transport ? true : `${now}, ${state}` && false;
  });
}

/**
 * Does something that ends the page's connection, and waits until the badge has said so, however soon it is
 * live again.
 */
export async function breaks(page: Page, what: () => Promise<void>): Promise<void> {
  await page.evaluate(() => {
    const state = () =>
      document.querySelector('[data-testid="badge-transport"]')?.getAttribute("data-state") ?? "live";
    const broken = new Promise<void>((resolve) => {
      const look = () => {
        if (state() !== "live") resolve();
      };
      new MutationObserver(look).observe(document.body, {
        subtree: true,
        childList: true,
        attributeFilter: ["data-state"],
      });
      look();
    });
    Object.assign(window, { broken });
  });
  await what();
  await within(
    "the badge's word that the page is not live",
    page.evaluate(() => (window as unknown as { broken: Promise<void> }).broken),
  );
}

export async function notLive(page: Page): Promise<void> {
  await until("the badge says that the page is not live", async () => {
    const state = await dataOf(page, "badge-transport", "state");
    return state !== null && state !== "live";
  });
}

/** Chooses a file on the Jobs page and answers the id of the job whose page opens. */
export async function upload(page: Page, origin: string, path: string): Promise<string> {
  await page.goto(`${origin}/jobs`);
  await page.locator('[data-testid="upload-input"]').setInputFiles(path);
  await page.waitForURL(/\/jobs\/[^/]+$/);
  return decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? "");
}

export async function percent(page: Page): Promise<number> {
  return Number((await dataOf(page, "job-progress", "percent")) ?? Number.NaN);
}

export async function jobStatus(page: Page): Promise<string | null> {
  return dataOf(page, "job-status", "status");
}

export async function jobReaches(page: Page, status: string): Promise<void> {
  await until(`the page shows the job ${status}`, async () => (await jobStatus(page)) === status);
}

export async function steps(page: Page): Promise<StepView[]> {
  return byId(page, "step").evaluateAll((elements) =>
    elements.map((element) => ({
      index: element.getAttribute("data-step-index"),
      name: element.getAttribute("data-step-name"),
    })),
  );
}

/**
 * Notes in the page which steps are seen running, as they change. Survives moves inside the console, not a
 * load.
 */
export async function watchSteps(page: Page): Promise<void> {
  await page.evaluate(() => {
    const seen: string[] = [];
    Object.assign(window, { seenRunning: seen });
    const look = () => {
      const name = document
        .querySelector('[data-testid="step"][data-step-state="running"]')
        ?.getAttribute("data-step-name");
      if (name && seen.at(-1) !== name) seen.push(name);
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
    look();
  });
}

export async function seenRunning(page: Page): Promise<string[]> {
  return page.evaluate(() => (window as unknown as { seenRunning: string[] }).seenRunning);
}
