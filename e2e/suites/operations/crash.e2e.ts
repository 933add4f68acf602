/**
 * Rounds of `kill -9` under load. What was acknowledged is there; no offset ever means two things; every
 * cursor from before resumes, or gets a gap that says what is gone.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { Server } from "../../../testing/server.mjs";
import { sleep } from "../../../testing/until.mjs";
import { type Event, epochOf, offsetOf, publish, readAll } from "../../harness/log.ts";
import { Random } from "../../harness/random.ts";

const ROUNDS = Number(process.env.ANYWIRE_CRASH_ROUNDS ?? 5);
const PUBLISHERS = 8;
const CHANNELS = ["crash_a", "crash_b", "crash_c"];

let server: Server;

beforeAll(async () => {
  server = await Server.start();
});

afterAll(async () => {
  await server?.dispose();
});

/** What an offset was ever seen to mean, by anybody, in any round. */
class Meanings {
  readonly #meanings = new Map<number, string>();

  note(offset: number, id: unknown, witness: string): void {
    const meaning = String(id);
    const before = this.#meanings.get(offset) ?? meaning;
    if (before !== meaning)
      throw new Error(`offset ${offset} meant ${before} and, to ${witness}, ${meaning}`);
    this.#meanings.set(offset, meaning);
  }
}

interface Load {
  readonly acknowledged: Map<string, number>;
  readonly cursors: string[];
  running: boolean;
}

/** One publisher: batches of changing size until the server dies under it. */
async function publisher(name: string, load: Load, random: Random, meanings: Meanings): Promise<void> {
  for (let batch = 0; load.running; batch += 1) {
    const events = Array.from({ length: random.between(1, 20) }, (_, index) => ({
      channel: random.pick(CHANNELS as [string, ...string[]]),
      data: { id: `${name}-${batch}-${index}`, padding: "x".repeat(random.between(0, 600)) },
    }));
    try {
      const { offsets, cursor } = await publish(server.url, events);
      for (const [index, event] of events.entries()) {
        const offset = offsets[index] ?? 0;
        meanings.note(offset, event.data.id, "the publisher");
        load.acknowledged.set(event.data.id, offset);
      }
      load.cursors.push(cursor);
    } catch {
      return;
    }
  }
}

/** A reader that is there while it happens: what it sees was committed, so it must stay. */
function witness(meanings: Meanings, seen: Map<string, number>): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/anywire/ws`, "anywire.v1");
  socket.on("open", () => socket.send(JSON.stringify({ op: "subscribe", id: 1, channels: CHANNELS })));
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data)) as Event & { op: string; data: { id: string } };
    if (frame.op !== "event") return;
    meanings.note(frame.offset, frame.data.id, "a reader");
    seen.set(frame.data.id, frame.offset);
  });
  socket.on("error", () => socket.terminate());
  return socket;
}

const idOf = (event: Event) => (event.data as { id: string }).id;

/** Loads the server, kills it in the middle, and starts it again. */
async function crash(round: number, random: Random, meanings: Meanings) {
  const load: Load = { acknowledged: new Map(), cursors: [], running: true };
  const seen = new Map<string, number>();
  const socket = witness(meanings, seen);
  const names = Array.from({ length: PUBLISHERS }, (_, index) => `${round}-${index}`);
  const publishers = names.map((name) => publisher(name, load, random, meanings));
  while (load.acknowledged.size < random.between(50, 500)) await sleep(5);
  await server.kill();
  load.running = false;
  await Promise.all(publishers);
  socket.terminate();
  await server.boot();
  return { ...load, seen };
}

/**
 * A cursor from before the crash: all that came after it is delivered, in order, or a gap names what is not.
 */
async function resumes(cursor: string, all: readonly Event[]): Promise<void> {
  const { events, gaps } = await readAll(server.url, CHANNELS.join(), cursor);
  const from = offsetOf(cursor);
  const expected = all.filter((event) => event.offset > from).map((event) => event.offset);
  const lost = (event: { channel: string; offset: number }) =>
    gaps.some((gap) => event.offset <= (gap.lost[event.channel] ?? 0));
  const got = events.map((event) => event.offset);
  expect(got).toEqual([...got].sort((one, other) => one - other));
  const missing = all.filter((event) => event.offset > from && !got.includes(event.offset));
  expect(missing.filter((event) => !lost(event))).toEqual([]);
  if (gaps.length === 0) expect(got).toEqual(expected);
}

test(`${ROUNDS} rounds of kill -9 under load lose nothing that was acknowledged`, {
  timeout: 60_000 * ROUNDS,
}, async () => {
  const random = new Random();
  console.log(`seed ${random.seed}`);
  const meanings = new Meanings();
  const cursors: string[] = [];
  let before = "0";
  let acknowledged = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const load = await crash(round, random, meanings);
    const { events, gaps, cursor } = await readAll(server.url, CHANNELS.join(), before);
    expect(gaps, `round ${round}`).toEqual([]);
    for (const event of events) meanings.note(event.offset, idOf(event), "the log");
    const there = new Map(events.map((event) => [idOf(event), event.offset]));
    expect(there.size, "an event is there twice").toBe(events.length);
    const lost = [...load.acknowledged, ...load.seen].filter(([id, offset]) => there.get(id) !== offset);
    expect(lost, `round ${round}: acknowledged or delivered, and gone`).toEqual([]);
    cursors.push(...load.cursors.filter(() => random.unit() < 0.05), before);
    expect(new Set(load.cursors.map(epochOf)).size, "the epoch stays").toBeLessThanOrEqual(1);
    acknowledged += load.acknowledged.size;
    before = cursor;
  }
  const all = (await readAll(server.url, CHANNELS.join())).events;
  for (const cursor of cursors.slice(-40)) await resumes(cursor, all);
  console.log(
    `${ROUNDS} rounds, ${acknowledged} acknowledged, ${all.length} in the log, ${cursors.length} old cursors`,
  );
});
