/**
 * What a failed test leaves for whoever looks into it: what its page went through and shows, and what the
 * servers said last.
 */
import { mkdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import type { TestContext } from "vitest";
import { lastWords } from "../../testing/server.mjs";

const NOTES_MAX = 80;
const TEXT_MAX = 2000;
const FOLDER = resolve(import.meta.dirname, "../screenshots/failed");

const notes = new WeakMap<Page, string[]>();

/** Notes what the pages of a context go through: errors, requests that failed, answers. */
export function observe(context: BrowserContext): void {
  context.on("page", (page) => {
    const lines: string[] = [];
    const note = (text: string) => {
      lines.push(`${new Date().toISOString()} ${text}`);
      if (lines.length > NOTES_MAX) lines.shift();
    };
    notes.set(page, lines);
    page.on("console", (message) => note(`console ${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => note(`error: ${error.message}`));
    page.on("requestfailed", (request) => note(`failed: ${request.url()} ${request.failure()?.errorText}`));
    page.on("response", (response) => note(`${response.status()} ${response.url()}`));
    page.on("crash", () => note("the page crashed"));
  });
}

/** Suites run beside each other, and two tests may have the same name. */
const pictureName = (task: TestContext["task"]): string =>
  `${basename(task.file.name, ".e2e.ts")}-${task.name}`.replaceAll(/\W+/g, "-");

/** Tells about a failed test; silent for one that passed. */
export async function tell(task: TestContext["task"], ...pages: Page[]): Promise<void> {
  if (task.result?.state !== "fail") return;
  const words = lastWords();
  if (words.length > 0) console.log([`── ${task.name}`, ...words].join("\n"));
  for (const [index, page] of pages.entries()) {
    console.log(`── page ${index} at ${page.url()}:\n${(notes.get(page) ?? []).join("\n")}`);
    try {
      console.log(`── it shows:\n${(await page.locator("body").innerText()).slice(0, TEXT_MAX)}`);
      mkdirSync(FOLDER, { recursive: true });
      await page.screenshot({ path: join(FOLDER, `${pictureName(task)}-${index}.png`) });
    } catch (error) {
      console.log(`── it cannot be looked at: ${String(error)}`);
    }
  }
}
