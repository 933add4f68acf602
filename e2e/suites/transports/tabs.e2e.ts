/**
 * One connection for all tabs of a real browser: the leading tab goes, the server is killed, and no tab loses
 * or repeats an event.
 */
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { sleep, until } from "../../../testing/until.mjs";
import { openBrowser, openContext } from "../../harness/browser.ts";
import { type Client, clientsOf } from "../../harness/delivery.ts";
import { tell } from "../../harness/evidence.ts";
import { publish } from "../../harness/log.ts";
import { type Tab, TabSite } from "../../harness/tabs.ts";

const COMMON = "tabs_common";
const OWN = ["tabs_a", "tabs_b", "tabs_c"];
const CHANNELS = [COMMON, ...OWN];
/** Batches between one thing that happens and the next, so that there is a before and an after. */
const BATCHES = 25;

let server: Server;
let site: TabSite;
let browser: Browser;
let context: BrowserContext;
let publisher: Publisher;
let tabs: Tab[];

beforeAll(async () => {
  site = await TabSite.start();
  browser = await openBrowser();
});

beforeEach(async () => {
  server = await Server.start();
  context = await openContext(browser);
  publisher = new Publisher(server.url);
  tabs = await Promise.all(OWN.map((own) => site.open(context, server.url, own, [COMMON, own])));
});

afterEach(async ({ task }) => {
  await tell(task, ...(context?.pages() ?? []));
  await publisher?.stop();
  await context?.close();
  await server?.dispose();
});

afterAll(async () => {
  await browser?.close();
  await site?.stop();
});

/** Publishes numbered events to every channel all the while, and knows what the log acknowledged. */
class Publisher {
  readonly acknowledged = new Map<string, string[]>(CHANNELS.map((channel) => [channel, []]));
  batches = 0;
  readonly #url: string;
  #isRunning = true;
  readonly #done: Promise<void>;

  constructor(url: string) {
    this.#url = url;
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      const number = this.batches + 1;
      const events = CHANNELS.map((channel) => ({ channel, event: "step", data: { channel, number } }));
      try {
        // The key makes a batch whose acknowledgement a crash swallowed the same batch, not a second one.
        const { offsets } = await publish(this.#url, events, `batch-${number}`);
        for (const [index, { channel, data }] of events.entries())
          this.acknowledged.get(channel)?.push(`${offsets[index]} ${JSON.stringify(data)}`);
        this.batches = number;
      } catch {
        // The server is down, and will be asked again.
      }
      await sleep(20);
    }
  }

  async goesOn(): Promise<void> {
    const before = this.batches;
    await until("more is published", () => this.batches >= before + BATCHES);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#done;
  }
}

/**
 * Without polls: the plain request by which the client judges an outage is listed for 30 s, and is no
 * connection.
 */
async function entries(): Promise<readonly Client[]> {
  return (await clientsOf(server)).filter(({ state }) => state !== "polling");
}

/** Every tab has got as much as is published by now. */
async function upToDate(): Promise<void> {
  const { batches } = publisher;
  await until("every tab is up to date", async () => {
    const counts = (await Promise.all(tabs.map((tab) => tab.held()))).map(({ seen }) =>
      Object.values(seen).map(({ length }) => length),
    );
    if (counts.flat().some((count) => count < batches)) throw new Error(`${batches}: ${counts.join(" | ")}`);
    return true;
  });
}

/**
 * The server knows of one connection. It is the leader's, and carries the channels of all tabs that there
 * are.
 */
async function oneConnection(): Promise<void> {
  const { name } = await leader();
  const channels = [...new Set(tabs.flatMap((tab) => tab.channels))].sort();
  const expected = JSON.stringify([{ client: name, transport: "websocket", channels }]);
  await until(`the server lists ${expected}`, async () => {
    const listed = (await entries()).map((entry) => ({
      client: entry.client,
      transport: entry.transport,
      channels: [...entry.channels].sort(),
    }));
    if (JSON.stringify(listed) !== expected) throw new Error(JSON.stringify(listed));
    return true;
  });
}

/** The one tab that leads, among these. */
async function leader(): Promise<Tab> {
  return until("one tab leads and the others follow", async () => {
    const all = await Promise.all(tabs.map(async (tab) => ({ tab, ...(await tab.held()) })));
    const leaders = all.filter(({ role, state }) => role === "leader" && state === "live");
    const followers = all.filter(({ role, state }) => role === "follower" && state === "live");
    if (leaders.length !== 1 || followers.length !== tabs.length - 1)
      throw new Error(all.map(({ role, state }) => `${role} ${state}`).join(", "));
    return leaders[0]?.tab;
  });
}

/** The tab is gone; the rest find a leader among themselves. */
async function without(gone: Tab): Promise<void> {
  tabs = tabs.filter((tab) => tab !== gone);
  await settled();
}

async function settled(): Promise<void> {
  await oneConnection();
  await publisher.goesOn();
  await upToDate();
}

async function closeLeader(): Promise<void> {
  const old = await leader();
  await old.close();
  await without(old);
}

/** Every tab that is left has every event of its channels exactly once and in order. */
async function nothingLostOrRepeated(): Promise<void> {
  await publisher.stop();
  await upToDate();
  for (const tab of tabs) {
    const { seen, gaps } = await tab.held();
    for (const channel of tab.channels)
      expect(seen[channel], `${channel} in the tab of ${tab.channels}`).toEqual(
        publisher.acknowledged.get(channel),
      );
    expect(gaps).toEqual([]);
    expect(tab.errors).toEqual([]);
  }
}

test("three tabs share one connection, and go on when the leader is closed and the server killed", async () => {
  await settled();
  await closeLeader();
  expect(tabs.length).toBe(2);
  await server.kill();
  await server.boot();
  await settled();
  await nothingLostOrRepeated();
});

test("the leader goes while the server is down, and again until one tab is left", async () => {
  await settled();
  const old = await leader();
  await server.kill();
  await old.close();
  await server.boot();
  await without(old);
  await closeLeader();
  expect(tabs.length).toBe(1);
  await nothingLostOrRepeated();
});

test("the leader crashes in the middle of it all", async () => {
  await settled();
  const crashed = await leader();
  await crashed.crash();
  await without(crashed);
  await nothingLostOrRepeated();
});
