import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BATCH_MAX, type Batch, Publisher, REFUSALS_MAX } from "./publisher";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A server that can be away; it keeps what a key brought, as the idempotency window does. */
class FakeServer {
  away = false;
  /** Takes the batch but loses the answer on its way back. */
  losesAnswers = false;
  /** How many more requests it refuses. */
  refusals = 0;
  readonly keys = new Set<string>();
  readonly appended: number[] = [];

  async take({ first, last, key }: Batch): Promise<void> {
    if (this.away) throw new Error("no network");
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw new Error("forbidden");
    }
    if (!this.keys.has(key)) for (let n = first; n <= last; n += 1) this.appended.push(n);
    this.keys.add(key);
    if (this.losesAnswers) throw new Error("connection reset");
  }
}

function setUp() {
  const server = new FakeServer();
  const acknowledged: number[] = [];
  const refused: unknown[] = [];
  let key = 0;
  const publisher = new Publisher({
    send: (batch) => server.take(batch),
    newKey: () => `key-${++key}`,
    onAcknowledged: (last) => acknowledged.push(last),
    onFailure: () => undefined,
    isRefusal: (cause) => cause instanceof Error && cause.message === "forbidden",
    onRefused: (cause) => refused.push(cause),
    intervalMs: 200,
  });
  return { server, publisher, acknowledged, refused };
}

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

describe("the publisher", () => {
  it("publishes five numbers a second, in order", async () => {
    const { server, publisher, acknowledged } = setUp();
    publisher.start();
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.appended).toEqual(upTo(5));
    expect(acknowledged.at(-1)).toBe(5);
  });

  it("keeps drawing numbers through an outage and loses none of them", async () => {
    const { server, publisher } = setUp();
    publisher.start();
    await vi.advanceTimersByTimeAsync(1000);
    server.away = true;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(publisher.waiting).toBe(50);
    server.away = false;
    await vi.advanceTimersByTimeAsync(4000);
    expect(server.appended).toEqual(upTo(75));
    expect(publisher.waiting).toBe(0);
  });

  it("appends nothing twice when only the answer was lost", async () => {
    const { server, publisher } = setUp();
    publisher.start();
    server.losesAnswers = true;
    await vi.advanceTimersByTimeAsync(3000);
    server.losesAnswers = false;
    await vi.advanceTimersByTimeAsync(3000);
    expect(server.appended).toEqual(upTo(server.appended.length));
    expect(server.appended.length).toBeGreaterThanOrEqual(25);
  });

  it("sends a long queue in batches of a limited size", async () => {
    const { server, publisher, acknowledged } = setUp();
    server.away = true;
    publisher.start();
    await vi.advanceTimersByTimeAsync(30_000);
    server.away = false;
    await vi.advanceTimersByTimeAsync(3000);
    const sizes = acknowledged.map((last, index) => last - (acknowledged[index - 1] ?? 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(BATCH_MAX);
    expect(server.appended).toEqual(upTo(165));
  });

  it("sends what is waiting before it stops", async () => {
    const { server, publisher } = setUp();
    publisher.start();
    server.away = true;
    await vi.advanceTimersByTimeAsync(1000);
    const stopped = publisher.stop();
    server.away = false;
    await vi.advanceTimersByTimeAsync(3000);
    await stopped;
    expect(server.appended).toEqual(upTo(5));
    await vi.advanceTimersByTimeAsync(3000);
    expect(server.appended).toHaveLength(5);
  });

  it("gives up when it is refused again and again, and says so once", async () => {
    const { server, publisher, refused } = setUp();
    publisher.start();
    await vi.advanceTimersByTimeAsync(1000);
    server.refusals = Number.POSITIVE_INFINITY;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(refused).toHaveLength(1);
    expect(publisher.running).toBe(false);
    await publisher.stop();
    expect(server.appended).toEqual(upTo(5));
  });

  it("goes on after a refusal that does not last", async () => {
    const { server, publisher, refused } = setUp();
    publisher.start();
    server.refusals = REFUSALS_MAX - 1;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(refused).toEqual([]);
    expect(server.appended).toEqual(upTo(server.appended.length));
    expect(publisher.waiting).toBeLessThan(3);
  });
});
