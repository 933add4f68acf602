/**
 * A Socket.IO client whose process is stopped for several pings while 20 000 events pass gets all of them in
 * order when it goes on, and costs the server no memory meanwhile.
 */
import type { ChildProcess } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { end, start } from "../../../testing/program.mjs";
import { Server } from "../../../testing/server.mjs";
import { sleep, until } from "../../../testing/until.mjs";
import { publish } from "../../harness/log.ts";
import { BEHIND_PROXY, Nginx } from "../../harness/nginx.ts";
import { MODES, type Mode, modes } from "../../harness/socketio.ts";

const EVENTS = 20_000;
const BATCH = 100;
/** Every 25 s where nothing is set. Minutes to answer one, so that a slow machine puts nobody out. */
const PING_MS = 2000;
const PING_TIMEOUT_MS = 300_000;
/** At least: several pings come due meanwhile, and nobody hears of the clients. */
const PAUSED_MS = 4 * PING_MS;
const PADDING = "x".repeat(1000);
/** Small, so that it is full before anybody is paused. */
const TAIL_BYTES = 4 << 20;
/** Less than what passes while the clients are paused: 20 MB for each of them. */
const GROWTH_MAX = 16 << 20;
const FOLLOWER = resolve(import.meta.dirname, "../../harness/follower.mjs");

let server: Server;
let nginx: Nginx;

beforeAll(async () => {
  const channels = '[[socketio.namespaces]]\nname = "/"\nchannels = ["slow"]\n';
  const pings = `[socketio]\nping_interval_ms = ${PING_MS}\nping_timeout_ms = ${PING_TIMEOUT_MS}\n`;
  server = await Server.start({
    config: `${BEHIND_PROXY}[tail]\nbytes_max = ${TAIL_BYTES}\n${pings}${channels}`,
  });
  nginx = await Nginx.start(server.port);
});

afterAll(async () => {
  await nginx?.stop();
  await server?.dispose();
});

/** A client in a process of its own. It says how many events it has, and what was not as expected. */
class Follower {
  readonly faults: string[] = [];
  count = 0;
  connected = false;
  readonly #child: ChildProcess;

  constructor(url: string, mode: Mode) {
    this.#child = start(process.execPath, [FOLLOWER, url, MODES[mode].join()], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { stdout } = this.#child;
    if (!stdout) throw new Error("no output");
    createInterface({ input: stdout }).on("line", (line) => {
      const [word, rest] = [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)];
      if (word === "connected") this.connected = true;
      else if (word === "count") this.count = Number(rest);
      else this.faults.push(line);
    });
  }

  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  wake(): void {
    this.#child.kill("SIGCONT");
  }

  async end(): Promise<void> {
    await end(this.#child, "SIGKILL");
  }
}

/** Publishes the numbers, and answers the most memory the server had meanwhile. */
async function pass(first: number, channel: string): Promise<number> {
  let peak = 0;
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, index) => ({
      channel,
      event: "n",
      data: { number: first + sent + index, padding: PADDING },
    }));
    await publish(server.url, batch);
    peak = Math.max(peak, await server.rssBytes());
  }
  return peak;
}

test("clients that are paused while 20 000 events pass get all of them in order, and memory stays flat", async () => {
  // The same load without anybody: what the log itself needs, it has then.
  await pass(0, "warm");
  const baseline = await pass(0, "warm");
  const through = [server.url, nginx.url];
  const followers = through.flatMap((url) => modes.map((mode) => new Follower(url, mode)));
  try {
    await until("all are connected", () => followers.every((one) => one.connected));
    await publish(server.url, [{ channel: "slow", event: "n", data: { number: 0 } }]);
    await until("all follow", () => followers.every((one) => one.count === 1));
    for (const one of followers) one.pause();
    const paused = sleep(PAUSED_MS);
    const peak = await pass(1, "slow");
    console.log(
      `memory: ${baseline >> 20} MiB with nobody, ${peak >> 20} MiB with ${followers.length} paused`,
    );
    // Time itself is the subject: so long nobody hears of them.
    await paused;
    const after = Math.max(peak, await server.rssBytes());
    for (const one of followers) one.wake();
    await until("all have everything", () => followers.every((one) => one.count === EVENTS + 1));
    expect(followers.flatMap((one) => one.faults)).toEqual([]);
    expect(after - baseline, "memory grows with paused clients").toBeLessThan(GROWTH_MAX);
  } finally {
    for (const one of followers) await one.end();
  }
});
