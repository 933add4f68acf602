/**
 * Readers that stop reading for several heartbeats while 100 000 events pass cost the server a cursor each,
 * not a queue. Then they get what retention kept, and a gap for exactly what it did not.
 */
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { SseSplitter } from "../../../testing/sse.mjs";
import { sleep, until, within } from "../../../testing/until.mjs";
import { clientsOf } from "../../harness/delivery.ts";
import { type Event, epochOf, type Gap, offsetOf, publish, readAll } from "../../harness/log.ts";
import { BEHIND_PROXY } from "../../harness/nginx.ts";
import { rawWebSocket } from "../../harness/readers.ts";

const EVENTS = 100_000;
const KEPT = 30_000;
const BATCH = 500;
const SLOW = 50;
/** Every 25 s where nothing is set. */
const HEARTBEAT_MS = 2000;
/**
 * How long the slow readers read nothing, at least: several heartbeats come due. The run is spread over it.
 */
const STOPPED_MS = 5 * HEARTBEAT_MS;
const PADDING = "x".repeat(180);
/** Small, so that it is full before the slow readers come. */
const TAIL_BYTES = 8 << 20;
/**
 * The slack for an allocator's noise, which is large. A queue for each slow reader would be more than 1 GB
 * together.
 */
const GROWTH_MAX = 128 << 20;

let server: Server;

beforeAll(async () => {
  const retention = `[[retention]]\npattern = "slow*"\nevents_max = ${KEPT}\n`;
  server = await Server.start({
    config: `${BEHIND_PROXY}heartbeat_ms = ${HEARTBEAT_MS}\n[tail]\nbytes_max = ${TAIL_BYTES}\n\n${retention}`,
  });
});

afterAll(async () => {
  await server?.dispose();
});

/** Fills a channel, spread over a time, and answers the offsets. */
async function fill(channel: string, sample: () => Promise<void>, spreadMs = 0): Promise<number[]> {
  const offsets: number[] = [];
  const start = Date.now();
  for (let first = 0; first < EVENTS; first += BATCH) {
    const batch = Array.from({ length: BATCH }, (_, index) => ({
      channel,
      data: { number: first + index, padding: PADDING },
    }));
    offsets.push(...(await publish(server.url, batch)).offsets);
    if ((first / BATCH) % 10 === 0) await sample();
    await sleep(Math.max(0, start + ((first + BATCH) / EVENTS) * spreadMs - Date.now()));
  }
  return offsets;
}

/** SSE over a socket that is not read until it is told to. */
class SlowReader {
  readonly events: number[] = [];
  readonly gaps: Gap[] = [];
  readonly #socket: net.Socket;

  /**
   * Over HTTP/1.1 as browsers do, or over HTTP/1.0 as a stock nginx does: the server delivers those on
   * different paths.
   */
  constructor(channel: string, after: string, name: string, version: "1.0" | "1.1") {
    this.#socket = net.connect(server.port, "127.0.0.1");
    const path = `/anywire/sse?channels=${channel}&after=${after}&client=${name}`;
    this.#socket.write(`GET ${path} HTTP/${version}\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
    const splitter = new SseSplitter((block) => {
      if (block.event === "open" || block.event === "heartbeat") return;
      if (block.event === "gap") this.gaps.push(JSON.parse(block.data ?? "") as Gap);
      else if (block.data !== undefined) this.events.push((JSON.parse(block.data) as Event).offset);
    });
    // The answer's head is no block, and its body is not chunked: it ends with the connection.
    this.#socket.on("data", (bytes) => splitter.push(bytes));
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.pause();
  }

  go(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** What it got and what its gaps name is everything that was published, each exactly once. */
function account(reader: SlowReader, channel: string, offsets: readonly number[]): void {
  const lost = reader.gaps.map((gap) => ({ from: offsetOf(gap.from), to: gap.lost[channel] ?? 0 }));
  const named = (offset: number) => lost.some(({ from, to }) => offset > from && offset <= to);
  const got = new Set(reader.events);
  expect(got.size, "repeated").toBe(reader.events.length);
  expect(
    offsets.filter((offset) => !got.has(offset) && !named(offset)),
    "silently lost",
  ).toEqual([]);
  expect(
    offsets.filter((offset) => got.has(offset) && named(offset)),
    "delivered and called lost",
  ).toEqual([]);
  expect(reader.events).toEqual([...reader.events].sort((one, other) => one - other));
}

test("readers that stop reading cost no memory, disturb nobody, and are told exactly what they lost", async () => {
  let peak = 0;
  const sample = async () => {
    peak = Math.max(peak, await server.rssBytes());
  };
  // The same load without slow readers first: what the log itself needs, it has then.
  for (const channel of ["slow-warm", "slow-warmer", "slow-warm", "slow-warmer"]) await fill(channel, sample);
  const baseline = peak;
  peak = 0;

  const channel = "slow-run";
  const first = await publish(server.url, [{ channel, data: "first" }]);
  const slow = Array.from(
    { length: SLOW },
    (_, index) => new SlowReader(channel, first.cursor, `slow-${index}`, index % 2 === 0 ? "1.0" : "1.1"),
  );
  const seen: number[] = [];
  const take = ({ offset }: Event) => seen.push(offset) < EVENTS;
  const brisk = rawWebSocket({
    url: server.url,
    channel,
    after: first.cursor,
    enough: EVENTS,
    take,
    gap: () => seen.push(-1),
  });
  const offsets = await fill(channel, sample, STOPPED_MS);
  const end = await publish(server.url, [{ channel, data: "end" }]);
  await sample();
  const listed = (await clientsOf(server)).filter(({ client }) => client.startsWith("slow-"));
  await within("the reader beside the slow ones", brisk);
  expect(seen, "the reader beside the slow ones").toEqual(offsets);
  console.log(`memory: ${baseline >> 20} MiB without slow readers, ${peak >> 20} MiB with ${SLOW}`);
  expect(peak - baseline, "memory grows with slow readers").toBeLessThan(GROWTH_MAX);

  const kept = (await readAll(server.url, channel)).events.map((event) => event.offset);
  const last = offsetOf(end.cursor);
  for (const reader of slow) {
    reader.go();
    await until("a slow reader has caught up", () => reader.events.at(-1) === last);
    account(reader, channel, offsets);
    const got = new Set(reader.events);
    expect(kept.filter((offset) => !got.has(offset)).slice(0, 3), "kept, and not delivered").toEqual([]);
    expect(reader.gaps.length, "a gap").toBeGreaterThan(0);
    expect(epochOf(reader.gaps[0]?.from ?? "")).toBe(epochOf(first.cursor));
    reader.close();
  }
  const blocked = listed.filter(({ state, lag }) => state === "blocked" && lag > KEPT);
  const live = listed.find(({ state }) => state !== "blocked");
  expect(
    blocked.length,
    `the server calls them blocked and says their lag; it said ${JSON.stringify(live)}`,
  ).toBe(SLOW);
});
