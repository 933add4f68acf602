/** A page of the monitor over a wire that counts: what the page says its way costs, and what the wire saw. */
import type { Browser, Page } from "playwright-core";
import { json } from "../../testing/http.mjs";
import { Server } from "../../testing/server.mjs";
import { until } from "../../testing/until.mjs";
import { openContext } from "./browser.ts";
import { CountingWire, type Traffic } from "./monitor.ts";

const MINUTE_MS = 60_000;
/** A machine that stands still for seconds makes a hole, and a page with a hole begins to measure anew. */
const PATIENCE_MS = 270_000;

export interface Compared {
  /** A minute's worth, as the page shows it. */
  readonly shown: { requests: number; bytes: number; age: number };
  /** The same minute on the wire. */
  readonly wire: Traffic;
}

export class CostWatch {
  readonly page: Page;
  readonly #mode: string;
  readonly #wire: CountingWire;

  private constructor(page: Page, mode: string, wire: CountingWire) {
    this.page = page;
    this.#mode = mode;
    this.#wire = wire;
  }

  static async open(browser: Browser, server: Server, mode: string): Promise<CostWatch> {
    const wire = await CountingWire.start(server.port);
    const context = await openContext(browser);
    await context.addInitScript((key) => localStorage.setItem("anywire-monitor-mode", key), mode);
    const page = await context.newPage();
    await page.goto(`${wire.url}/monitor`);
    return new CostWatch(page, mode, wire);
  }

  /**
   * The newest whole minute that the page has measured, in which it agrees with the wire.
   *
   * Bytes may be on the wire at one edge of the minute and in the page after it: then the next second's
   * measure is looked at. A page that counts wrongly never agrees.
   */
  async minute(): Promise<Compared> {
    let last = "";
    try {
      const look = async () => {
        const compared = await this.#compare();
        last = JSON.stringify(compared);
        return compared && agrees(compared) ? compared : null;
      };
      return await until("the page says what the wire saw", look, PATIENCE_MS);
    } finally {
      console.log(`${this.#mode}: ${last}`);
    }
  }

  async #compare(): Promise<Compared | null> {
    const row = await this.page
      .locator(`[data-cost="${this.#mode}"]`)
      .evaluate((element) => ({ ...(element as HTMLElement).dataset }));
    if (!(Number(row.measured) >= MINUTE_MS)) return null;
    const shown = { requests: Number(row.requests), bytes: Number(row.bytes), age: Number(row.age) };
    return { shown, wire: this.#wire.between(Number(row.at) - MINUTE_MS, Number(row.at)) };
  }
}

function agrees({ shown, wire }: Compared): boolean {
  return shown.requests === wire.requests && Math.abs(shown.bytes - wire.bytes) <= wire.bytes / 100 + 16;
}

/**
 * A server on which nothing but samples comes over a page's connection: on a busy machine an alert would
 * come, too.
 */
export async function quietServer(): Promise<Server> {
  const server = await Server.start();
  await json(`${server.url}/api/performance/alerts`, { method: "PUT", send: { rules: [] } });
  return server;
}
