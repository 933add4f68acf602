/**
 * One second hand for the whole page, and the distance between the server's clock and ours.
 *
 * Invariants:
 * - there is one interval, whatever the number of readers;
 * - the skew is the smallest (receipt − server time) lately seen: delay only ever adds to it.
 */
import { type Ref, readonly, ref } from "vue";

const now = ref(Date.now());
let started = false;

/** The current time in milliseconds, renewed each second. */
export function useNow(): Readonly<Ref<number>> {
  if (!started) {
    started = true;
    setInterval(() => {
      now.value = Date.now();
    }, 1000);
  }
  return readonly(now);
}

const CLOCK_SET_MS = 60_000;

/** Estimates how far our clock is ahead of the server's, in milliseconds. */
export class SkewEstimate {
  readonly #window: number[] = [];
  readonly #size: number;

  constructor(size = 30) {
    this.#size = size;
  }

  observe(serverTime: string, receivedAt: number): void {
    const server = Date.parse(serverTime);
    if (Number.isNaN(server)) return;
    const skew = receivedAt - server;
    // Nothing is on its way for a minute: one of the clocks was set.
    if (this.#window.length > 0 && Math.abs(skew - this.ms) > CLOCK_SET_MS) this.#window.length = 0;
    this.#window.push(skew);
    if (this.#window.length > this.#size) this.#window.shift();
  }

  get ms(): number {
    return this.#window.length === 0 ? 0 : Math.min(...this.#window);
  }

  /** A server's time, on our clock. */
  local(serverTime: string): number {
    return Date.parse(serverTime) + this.ms;
  }
}

/** The one estimate of this page; the samples of `$overview` feed it once a second. */
export const serverSkew = new SkewEstimate();
