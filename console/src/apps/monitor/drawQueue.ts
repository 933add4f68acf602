/**
 * Charts draw one after the other, a few milliseconds a frame: ten charts of a new span at once would hold
 * the page up.
 *
 * Invariant: of several wishes of one chart only the newest is drawn.
 */

const BUDGET_MS = 10;

export class DrawQueue {
  readonly #jobs = new Map<object, () => void>();
  readonly #frame: (callback: () => void) => unknown;
  readonly #now: () => number;
  #planned = false;

  constructor(frame: (callback: () => void) => unknown, now: () => number = () => performance.now()) {
    this.#frame = frame;
    this.#now = now;
  }

  /** Draws for `owner` soon. */
  put(owner: object, job: () => void): void {
    this.#jobs.set(owner, job);
    this.#plan();
  }

  drop(owner: object): void {
    this.#jobs.delete(owner);
  }

  #plan(): void {
    if (this.#planned || this.#jobs.size === 0) return;
    this.#planned = true;
    this.#frame(() => this.#run());
  }

  #run(): void {
    this.#planned = false;
    const end = this.#now() + BUDGET_MS;
    for (const [owner, job] of this.#jobs) {
      this.#jobs.delete(owner);
      job();
      if (this.#now() >= end) break;
    }
    this.#plan();
  }
}

export const drawQueue = new DrawQueue((callback) => requestAnimationFrame(callback));
