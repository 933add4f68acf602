/** Rates from counters that come now and then. Pure. */
import type { Statistics } from "./wire";

const WINDOW_MS = 5000;

export interface Rates {
  received: number;
  processed: number;
  failed: number;
}

interface Sample {
  at: number;
  statistics: Statistics;
}

/** Remembers the counters of the last seconds. Without news the rates fall to zero by themselves. */
export class RateWindow {
  #samples: Sample[] = [];

  push(statistics: Statistics, at: number): void {
    this.#samples.push({ at, statistics });
    this.#trim(at);
  }

  /** When the counters came last. */
  get newest(): number {
    return this.#samples.at(-1)?.at ?? 0;
  }

  clear(): void {
    this.#samples = [];
  }

  rates(now: number): Rates {
    this.#trim(now);
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || now - last.at > WINDOW_MS) return { received: 0, processed: 0, failed: 0 };
    const seconds = Math.max(1, (now - first.at) / 1000);
    const rate = (of: (statistics: Statistics) => number) =>
      Math.max(0, of(last.statistics) - of(first.statistics)) / seconds;
    return {
      received: rate((statistics) => statistics.totalMessages),
      processed: rate((statistics) => statistics.processedMessages),
      failed: rate((statistics) => statistics.failedMessages),
    };
  }

  /** The newest sample before the window stays: it is where the window begins. */
  #trim(now: number): void {
    while (this.#samples.length > 1 && (this.#samples[1]?.at ?? now) < now - WINDOW_MS) this.#samples.shift();
  }
}
