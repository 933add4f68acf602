/** The promise itself, under random faults: every channel gets exactly 1..N, in order. */
import { describe, expect, test } from "vitest";
import type { FakeServer } from "./fake-server.js";
import { follow, type Received, range, world } from "./world.js";

const PATHS = ["ws", "sse", "poll", "long-poll"] as const;
const CHANNELS = ["a", "b", "c"];

function disturb(server: FakeServer): void {
  const { faults, random } = server;
  const path = PATHS[Math.floor(random() * PATHS.length)] ?? "ws";
  const kinds = [faults.refused, faults.blocked, faults.closedEarly, faults.silent];
  const kind = kinds[Math.floor(random() * kinds.length)] ?? faults.refused;
  const dice = random();
  if (dice < 0.3) kind.add(path);
  else if (dice < 0.55) for (const one of kinds) one.delete(path);
  else if (dice < 0.65) server.kill(undefined, random() < 0.3);
  else if (dice < 0.75) server.kill(path === "poll" ? "ws" : path, random() < 0.3);
  else if (dice < 0.82) faults.down = !faults.down;
  else if (dice < 0.87) server.goodbye(Math.floor(random() * 4000));
  else heal(server);
  if (faults.down) server.kill();
}

function heal({ faults }: FakeServer): void {
  faults.down = false;
  for (const kind of [faults.refused, faults.blocked, faults.closedEarly, faults.silent]) kind.clear();
}

interface Follower {
  readonly channel: string;
  /** The number of the first event it has to get; for one that began at the tail, whatever came first. */
  readonly from: number | "tail";
  readonly received: Received;
}

async function simulate(
  seed: number,
  seconds: number,
): Promise<{ followers: Follower[]; sent: Map<string, number>; transports: Set<string> }> {
  const at = world({ policy: { overlapMs: 3000 } }, seed);
  const { server, connection } = at;
  const { random, clock } = server;
  server.faults.latencyMs = () => 5 + random() * random() * 400;
  const sent = new Map(CHANNELS.map((channel) => [channel, 0]));
  const followers: Follower[] = CHANNELS.map((channel) => ({
    channel,
    from: 1,
    received: follow(connection, channel, "0"),
  }));
  const transports = new Set<string>();
  for (let second = 0; second < seconds; second++) {
    if (random() < 0.12) disturb(server);
    for (const channel of CHANNELS) {
      // "c" is quiet, and bursts.
      const count = channel === "c" ? (random() < 0.02 ? 20 : 0) : Math.floor(random() * 3);
      for (let index = 0; index < count; index++) {
        const number = (sent.get(channel) ?? 0) + 1;
        sent.set(channel, number);
        server.publish(channel, number);
      }
    }
    if (random() < 0.02) followers.push(join(at.connection, server, sent));
    if (random() < 0.01) {
      const name = `only-${second}`;
      sent.set(name, 0);
      followers.push({ channel: name, from: "tail", received: follow(connection, name) });
    }
    for (const name of sent.keys()) {
      if (!name.startsWith("only-") || random() < 0.9) continue;
      const number = (sent.get(name) ?? 0) + 1;
      sent.set(name, number);
      server.publish(name, number);
    }
    await clock.advance(Math.floor(random() * 2000));
    const { state, transport } = connection.status();
    if (state === "live" && transport) transports.add(transport);
  }
  heal(server);
  server.kill();
  await clock.advance(180_000);
  return { followers, sent, transports };
}

/**
 * Somebody subscribes later, from an older cursor or from the beginning, to a channel that is on the wire.
 */
function join(
  connection: ReturnType<typeof world>["connection"],
  server: FakeServer,
  sent: Map<string, number>,
): Follower {
  const channel = CHANNELS[Math.floor(server.random() * CHANNELS.length)] ?? "a";
  const known = server.log.events.filter((event) => event.channel === channel);
  const back = known[Math.floor(server.random() * known.length)];
  if (!back || server.random() < 0.3) return { channel, from: 1, received: follow(connection, channel, "0") };
  const from = Number(back.data) + 1;
  expect(from).toBeLessThanOrEqual((sent.get(channel) ?? 0) + 1);
  return { channel, from, received: follow(connection, channel, server.log.cursor(back.offset)) };
}

describe("under random faults, switches and drops", () => {
  const seen = new Set<string>();
  for (const seed of range(1, 24)) {
    test(`every subscription receives exactly its sequence (seed ${seed})`, async () => {
      const { followers, sent, transports } = await simulate(seed, 700);
      for (const transport of transports) seen.add(transport);
      for (const { channel, from, received } of followers) {
        expect(received.gaps).toEqual([]);
        const first = from === "tail" ? Number(received.data[0]) : from;
        expect(received.data).toEqual(range(first, sent.get(channel) ?? 0));
      }
      for (const channel of CHANNELS) expect(sent.get(channel)).toBeGreaterThan(50);
    });
  }

  test("all four transports took part", () => {
    expect([...seen].sort()).toEqual(["long-poll", "poll", "sse", "websocket"]);
  });

  for (const seed of range(101, 108)) {
    test(`with retention at work, what does not arrive is told as a gap (seed ${seed})`, async () => {
      const at = world({}, seed);
      const { server } = at;
      const { random, clock } = server;
      const received = follow(at.connection, "a", server.log.cursor(0));
      const told: [string, number][] = [];
      received.channel.on("*", (_data, event) => told.push(["event", event.offset]));
      received.channel.onGap((gap) => told.push(["gap", gap.lost ?? 0]));
      const appended: number[] = [];
      for (let second = 0; second < 500; second++) {
        if (random() < 0.12) disturb(server);
        if (random() < 0.7) appended.push(server.publish("a", second));
        if (random() < 0.5) server.publish("other", 0);
        if (random() < 0.03) server.log.trim("a", server.log.tail - Math.floor(random() * 10));
        await clock.advance(Math.floor(random() * 2000));
      }
      heal(server);
      server.kill();
      await clock.advance(180_000);
      let position = 0;
      const accounted: number[] = [];
      for (const [kind, offset] of told) {
        expect(offset).toBeGreaterThan(position);
        accounted.push(
          ...appended.filter((one) => (kind === "gap" ? one > position && one <= offset : one === offset)),
        );
        position = offset;
      }
      expect(accounted).toEqual(appended);
    });
  }
});
