/** Chromium as it is installed, with an empty profile. */
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { observe } from "./evidence.ts";

const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const HEIGHT_MAX = 6000;
const SCREENSHOTS = resolve(import.meta.dirname, "../screenshots");

export interface Looks {
  readonly width?: number;
  readonly dark?: boolean;
  readonly locale?: string;
  /** Pauses before the console tries a better transport. It takes its time where nothing is said. */
  readonly probeMs?: number;
}

export async function openBrowser(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? PLACES.find((path) => existsSync(path));
  if (!executablePath) throw new Error("Chromium is missing: install it, or put its path into CHROMIUM");
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

export async function openContext(browser: Browser, looks: Looks = {}): Promise<BrowserContext> {
  const width = looks.width ?? 1440;
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 844 : 900 },
    colorScheme: looks.dark ? "dark" : "light",
    locale: looks.locale ?? "en-GB",
    acceptDownloads: false,
  });
  context.setDefaultTimeout(60_000);
  if (looks.probeMs !== undefined)
    await context.addInitScript((ms) => localStorage.setItem("anywire-probe-ms", String(ms)), looks.probeMs);
  observe(context);
  return context;
}

export const byId = (page: Page, id: string): Locator => page.locator(`[data-testid="${id}"]`);

/** The value of a data attribute of an element with a test id; null while there is none. */
export async function dataOf(page: Page, id: string, name: string): Promise<string | null> {
  const element = byId(page, id).first();
  return (await element.count()) > 0 ? element.getAttribute(`data-${name}`) : null;
}

/** Longer than anything on a page moves. */
const PAINTED_MS_MAX = 1500;

/**
 * Charts follow the width within a frame or two; transitions, as those of the theme, take as long as they
 * say. Where scripts are off, as in a sandboxed report, no frame calls back: then nothing moves either.
 */
async function painted(page: Page): Promise<void> {
  const still = page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    for (let frames = 0; frames < 3; frames += 1) await frame();
    const passing = document
      .getAnimations()
      .filter((one) => Number(one.effect?.getComputedTiming().endTime) < 1000);
    await Promise.allSettled(passing.map((one) => one.finished));
    await frame();
  });
  // A page that goes away meanwhile has nothing to wait for.
  await Promise.race([still.catch(() => undefined), pause(PAINTED_MS_MAX)]);
}

/** Pictures of a page as it is, at the widths of a desk and of a phone, dark and light. */
export async function photograph(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const before = page.viewportSize() ?? { width: 1440, height: 900 };
  for (const width of [1440, 390]) {
    await page.setViewportSize({ width, height: width < 600 ? 844 : 900 });
    // As high as its content: bars that stick to the window's edge are then where they belong, and frames are
    // painted.
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width, height: Math.min(height, HEIGHT_MAX) });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await painted(page);
      const path = join(SCREENSHOTS, `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path, animations: "disabled" });
    }
  }
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: "light" });
}
