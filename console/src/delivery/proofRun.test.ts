import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Follow } from "@/shared/live";
import { ProofRun, type ProofWires } from "./proofRun";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A log of one channel that delivers at once, unless its wire is cut. */
class FakeLog {
  away = false;
  /** Takes nothing, and says so. */
  refuses = false;
  /** Numbers that vanish on their way to the follower. */
  readonly drops = new Set<number>();
  readonly keys = new Set<string>();
  follower: Follow | null = null;
  pending: number[] = [];

  wires(): ProofWires {
    let key = 0;
    return {
      follow: (options) => {
        this.follower = options;
        return () => {
          this.follower = null;
        };
      },
      beginning: async () => {
        this.answer();
        return "1f0c93ab-5";
      },
      publish: async (_channel, batch) => {
        this.answer();
        if (this.keys.has(batch.key)) return;
        this.keys.add(batch.key);
        for (let n = batch.first; n <= batch.last; n += 1) this.deliver(n);
      },
      newKey: () => `key-${++key}`,
      isRefusal: (cause) => cause instanceof Error && cause.message === "forbidden",
    };
  }

  answer(): void {
    if (this.away) throw new Error("no network");
    if (this.refuses) throw new Error("forbidden");
  }

  deliver(n: number): void {
    if (this.drops.has(n)) return;
    this.follower?.onEvent({ channel: "lab_x", event: "number", offset: n, time: "", data: { n }, cursor: "" });
  }
}

function begin() {
  const log = new FakeLog();
  const run = new ProofRun("lab_x", log.wires(), () => undefined);
  return { log, run };
}

describe("the proof", () => {
  it("follows from a cursor that it took before it published anything", async () => {
    const { log, run } = begin();
    await run.start(() => "websocket");
    expect(log.follower).toMatchObject({ channel: "lab_x", after: "1f0c93ab-5" });
    expect(run.counts.published).toBe(0);
  });

  it("waits for a server that is away when it begins", async () => {
    const { log, run } = begin();
    log.away = true;
    const started = run.start(() => "down");
    await vi.advanceTimersByTimeAsync(2500);
    log.away = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(await started).toBe(true);
  });

  it("reads zero missing and zero repeated after an outage", async () => {
    const { log, run } = begin();
    await run.start(() => "websocket");
    await vi.advanceTimersByTimeAsync(2000);
    log.away = true;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(run.queued).toBeGreaterThan(40);
    expect(run.failure).toBe("no network");
    log.away = false;
    await vi.advanceTimersByTimeAsync(3000);
    const judged = run.settle();
    await vi.advanceTimersByTimeAsync(5000);
    expect(await judged).toBe(true);
    expect(run.counts).toMatchObject({
      published: 75,
      received: 75,
      missing: 0,
      repeated: 0,
      outOfOrder: 0,
      onTheWay: 0,
    });
  });

  it("reports an event that was really lost, even the very last one", async () => {
    const { log, run } = begin();
    log.drops.add(3).add(10);
    await run.start(() => "sse");
    await vi.advanceTimersByTimeAsync(2000);
    const judged = run.settle();
    await vi.advanceTimersByTimeAsync(40_000);
    await judged;
    expect(run.counts).toMatchObject({ published: 10, received: 8, missing: 2 });
  });

  it("reports an event that came twice", async () => {
    const { log, run } = begin();
    await run.start(() => "sse");
    await vi.advanceTimersByTimeAsync(1000);
    log.deliver(2);
    expect(run.counts.repeated).toBe(1);
  });

  it("is silent once it was abandoned", async () => {
    const { log, run } = begin();
    await run.start(() => "sse");
    await vi.advanceTimersByTimeAsync(1000);
    run.abandon();
    expect(log.follower).toBeNull();
    await vi.advanceTimersByTimeAsync(5000);
    expect(run.counts.published).toBe(5);
  });

  it("that is refused for good ends, and is judged by what was published", async () => {
    const { log, run } = begin();
    await run.start(() => "websocket");
    await vi.advanceTimersByTimeAsync(1000);
    log.refuses = true;
    await vi.advanceTimersByTimeAsync(6000);
    expect(run.refusal?.message).toBe("forbidden");
    const judged = run.settle();
    await vi.advanceTimersByTimeAsync(2000);
    expect(await judged).toBe(true);
    expect(run.counts).toMatchObject({ published: 5, received: 5, missing: 0, repeated: 0 });
    expect(run.queued).toBeGreaterThan(0);
  });

  it("that may not even begin says why", async () => {
    const { log, run } = begin();
    log.refuses = true;
    const started = run.start(() => "websocket");
    await vi.advanceTimersByTimeAsync(6000);
    expect(await started).toBe(false);
    expect(run.refusal?.message).toBe("forbidden");
  });

  it("waits for a server that is away for as long as somebody wants it to", async () => {
    const { log, run } = begin();
    await run.start(() => "websocket");
    await vi.advanceTimersByTimeAsync(1000);
    log.away = true;
    await vi.advanceTimersByTimeAsync(1000);
    let ended = false;
    const judged = run.settle().then((whether) => {
      ended = whether;
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ended).toBe(false);
    run.giveUp();
    await vi.advanceTimersByTimeAsync(2000);
    await judged;
    expect(ended).toBe(true);
    expect(run.counts).toMatchObject({ published: 5, received: 5, missing: 0 });
    expect(run.queued).toBe(5);
  });
});
