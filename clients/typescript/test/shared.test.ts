import { describe, expect, test } from "vitest";
import type { Connection } from "../src/index.js";
import { connectShared, type SharedOptions } from "../src/shared.js";
import { FakeBrowser } from "./fake-browser.js";
import { FakePage, FakeServer } from "./fake-server.js";
import { follow, range } from "./world.js";

interface Tab {
  readonly page: FakePage;
  readonly connection: Connection;
}

class Browser {
  readonly server: FakeServer;
  readonly browser: FakeBrowser;
  readonly tabs: Tab[] = [];
  sent = 0;

  constructor(seed = 1) {
    this.server = new FakeServer(seed);
    this.browser = new FakeBrowser(this.server.clock);
  }

  open(options: SharedOptions = {}): Tab {
    const page = new FakePage(this.browser);
    const connection = connectShared("http://server.test", {
      ...options,
      environment: this.server.environment(page),
    });
    const tab = { page, connection };
    this.tabs.push(tab);
    return tab;
  }

  /** A killed tab runs no timers either; here it is closed without a word to anybody. */
  crash(tab: Tab): void {
    this.browser.crash(tab.page);
    tab.connection.close();
    this.tabs.splice(this.tabs.indexOf(tab), 1);
  }

  async publish(count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      this.server.publish("a", ++this.sent);
      await this.server.clock.advance(200);
    }
  }
}

describe("tabs that share a connection", () => {
  test("three tabs have one WebSocket and each gets every event once", async () => {
    const at = new Browser();
    const received = [at.open(), at.open(), at.open()].map(({ connection }) => follow(connection, "a", "0"));
    await at.server.clock.advance(1000);
    await at.publish(20);
    expect(at.server.open("ws")).toBe(1);
    for (const one of received) expect(one.data).toEqual(range(1, 20));
    const roles = at.tabs.map(({ connection }) => connection.status().role);
    expect(roles).toEqual(["leader", "follower", "follower"]);
    for (const { connection } of at.tabs) {
      expect(connection.status()).toMatchObject({ state: "live", transport: "websocket" });
    }
  });

  test("a tab that comes later with an older cursor catches up, and the others see nothing twice", async () => {
    const at = new Browser();
    const first = follow(at.open().connection, "a");
    await at.server.clock.advance(500);
    await at.publish(10);
    const late = follow(at.open().connection, "a", at.server.log.cursor(4));
    const tail = follow(at.open().connection, "a");
    await at.server.clock.advance(500);
    await at.publish(5);
    expect(first.data).toEqual(range(1, 15));
    expect(late.data).toEqual(range(5, 15));
    expect(tail.data).toEqual(range(11, 15));
  });

  test("where the browser refuses locks each tab has a connection of its own, also after it was frozen", async () => {
    const at = new Browser();
    at.browser.refusesLocks = true;
    const tabs = [at.open(), at.open()];
    const received = tabs.map(({ connection }) => follow(connection, "a", "0"));
    await at.server.clock.advance(1000);
    await at.publish(5);
    expect(at.server.open("ws")).toBe(2);
    tabs[0]?.page.fire("freeze");
    await at.publish(5);
    tabs[0]?.page.fire("resume");
    await at.server.clock.advance(1000);
    await at.publish(5);
    for (const one of received) expect(one.data).toEqual(range(1, 15));
    for (const { connection } of tabs) connection.close();
    await at.server.clock.advance(1000);
    expect(at.server.open("ws")).toBe(0);
  });

  test("when the leader closes, another takes over and loses nothing", async () => {
    const at = new Browser();
    const leader = at.open();
    follow(leader.connection, "a", "0");
    const received = [at.open(), at.open()].map(({ connection }) => follow(connection, "a", "0"));
    await at.server.clock.advance(1000);
    await at.publish(5);
    leader.connection.close();
    await at.publish(20);
    for (const one of received) expect(one.data).toEqual(range(1, 25));
    expect(at.server.open("ws")).toBe(1);
    expect(at.tabs[1]?.connection.status()).toMatchObject({ state: "live", role: "leader" });
  });

  test("when the leader is killed, another takes over and loses nothing", async () => {
    const at = new Browser();
    const leader = at.open();
    const received = [at.open(), at.open()].map(({ connection }) => follow(connection, "a", "0"));
    await at.server.clock.advance(1000);
    await at.publish(5);
    at.crash(leader);
    await at.publish(20);
    for (const one of received) expect(one.data).toEqual(range(1, 25));
  });

  test("an idle follower that started at the tail loses nothing when the leader is killed", async () => {
    const at = new Browser();
    const leader = at.open();
    const received = follow(at.open().connection, "a");
    await at.server.clock.advance(5000);
    at.crash(leader);
    await at.publish(5);
    await at.server.clock.advance(1000);
    expect(received.data).toEqual(range(1, 5));
  });

  test("a frozen leader gives the lead away and follows again when it is resumed", async () => {
    const at = new Browser();
    const [one, two] = [at.open(), at.open()];
    const received = [one, two].map(({ connection }) => follow(connection, "a", "0"));
    await at.server.clock.advance(1000);
    await at.publish(5);
    one.page.fire("freeze");
    await at.publish(5);
    expect(two.connection.status()).toMatchObject({ role: "leader", state: "live" });
    one.page.fire("resume");
    await at.server.clock.advance(1000);
    await at.publish(5);
    expect(one.connection.status()).toMatchObject({ role: "follower", state: "live" });
    for (const each of received) expect(each.data).toEqual(range(1, 15));
  });

  test("channels of a tab that is gone are given up", async () => {
    const at = new Browser();
    follow(at.open().connection, "a");
    const [two, three] = [at.open(), at.open()];
    follow(two.connection, "b");
    follow(three.connection, "c");
    await at.server.clock.advance(1000);
    two.connection.close();
    at.crash(three);
    await at.server.clock.advance(1000);
    const gone = at.server.frames
      .filter((frame) => frame.op === "unsubscribe")
      .flatMap((frame) => frame.channels);
    expect(gone.sort()).toEqual(["b", "c"]);
  });

  test("a follower hears of gaps and of refusals", async () => {
    const at = new Browser();
    at.open();
    for (let number = 1; number <= 10; number++) at.server.publish("a", number);
    at.server.log.trim("a", 6);
    at.server.faults.forbidden.add("secret");
    const follower = at.open().connection;
    const received = follow(follower, "a", at.server.log.cursor(2));
    const errors: string[] = [];
    follower.channel("secret").onError((error) => errors.push(error.code));
    await at.server.clock.advance(1000);
    expect(received.gaps).toMatchObject([{ channel: "a", reason: "trimmed", lost: 6 }]);
    expect(received.data).toEqual([7, 8, 9, 10]);
    expect(errors).toEqual(["forbidden"]);
    expect(follower.status().gaps).toBe(1);
  });

  test("a follower publishes by itself", async () => {
    const at = new Browser();
    const received = follow(at.open().connection, "a");
    const follower = at.open().connection;
    await at.server.clock.advance(1000);
    const receipt = follower.publish("a", "x", 7);
    await at.server.clock.advance(1000);
    expect((await receipt).offsets).toEqual([1]);
    expect(received.data).toEqual([7]);
  });

  test("opting out gives every tab its own connection", async () => {
    const at = new Browser();
    for (const { connection } of [at.open({ share: false }), at.open({ share: false })])
      follow(connection, "a");
    await at.server.clock.advance(1000);
    expect(at.server.open("ws")).toBe(2);
    expect(at.tabs[0]?.connection.status().role).toBe(null);
  });

  for (const seed of range(1, 12)) {
    test(`tabs that come, go and die lose and repeat nothing (seed ${seed})`, async () => {
      const at = new Browser(seed);
      const { random, clock } = at.server;
      const alive = new Map<Tab, { from: number; data: readonly unknown[] }>();
      for (let second = 0; second < 300; second++) {
        if (random() < 0.1 && at.tabs.length < 5) {
          const tab = at.open();
          const back = Math.floor(random() * (at.sent + 1));
          const after = back === 0 ? "0" : at.server.log.cursor(back);
          alive.set(tab, { from: back + 1, data: follow(tab.connection, "a", after).data });
        }
        const victim = at.tabs[Math.floor(random() * at.tabs.length)];
        const dice = random();
        if (victim && dice < 0.03) at.crash(victim);
        else if (victim && dice < 0.06) {
          victim.connection.close();
          at.tabs.splice(at.tabs.indexOf(victim), 1);
        } else if (dice < 0.1) at.server.kill();
        for (const tab of [...alive.keys()]) if (!at.tabs.includes(tab)) alive.delete(tab);
        await at.publish(Math.floor(random() * 3));
        await clock.advance(Math.floor(random() * 1500));
      }
      if (at.tabs.length === 0) alive.set(at.open(), { from: 1, data: range(1, at.sent) });
      await clock.advance(60_000);
      for (const { from, data } of alive.values()) expect(data).toEqual(range(from, at.sent));
      expect(at.server.open("ws")).toBeLessThanOrEqual(1);
    });
  }
});
