/** A clock that only moves when a test says so. */

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Lets every promise that can go on go on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class Clock {
  now = Date.UTC(2026, 0, 23, 10, 0, 0);
  #order = 0;
  readonly #timers = new Map<number, Timer>();

  setTimeout(run: () => void, delayMs: number): number {
    const order = ++this.#order;
    this.#timers.set(order, { at: this.now + Math.max(0, delayMs), order, run });
    return order;
  }

  clearTimeout(order: unknown): void {
    this.#timers.delete(order as number);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs everything that is due within this time, in order. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      let next: Timer | null = null;
      for (const timer of this.#timers.values()) {
        if (timer.at > end) continue;
        if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
      }
      if (!next) break;
      this.#timers.delete(next.order);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settle();
    }
    this.now = end;
  }

  /** The machine sleeps: time passes, no timer runs. */
  sleep(ms: number): void {
    this.now += ms;
  }
}

/** A random number generator that a seed repeats (mulberry32's recurrence). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
