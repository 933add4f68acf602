/**
 * A publisher of numbered events that survives outages.
 *
 * Numbers are drawn at a steady pace and wait in a queue. One request is under way at a time; it carries what is waiting (at most
 * {@link BATCH_MAX}) under an idempotency key and is repeated, same body and same key, until the server has answered. So no number is
 * lost, none is appended twice, and they enter the log in order.
 *
 * Knows: a `send` function and timers, both given. Does not know: fetch, Vue.
 */
export interface Batch {
  /** The first and the last number in it. */
  first: number;
  last: number;
  key: string;
}

export type SendBatch = (batch: Batch) => Promise<void>;

export interface PublisherOptions {
  send: SendBatch;
  newKey: () => string;
  onAcknowledged: (last: number) => void;
  onFailure: (cause: unknown, attempt: number) => void;
  intervalMs: number;
}

export const BATCH_MAX = 50;
const RETRY_MS = [250, 500, 1000, 2000] as const;

export class Publisher {
  readonly #options: PublisherOptions;
  #drawn = 0;
  #acknowledged = 0;
  #pace: ReturnType<typeof setInterval> | null = null;
  #flushing: Promise<void> | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Numbers drawn that the server has not acknowledged yet. */
  get waiting(): number {
    return this.#drawn - this.#acknowledged;
  }

  get running(): boolean {
    return this.#pace !== null;
  }

  start(): void {
    if (this.#pace !== null) return;
    this.#pace = setInterval(() => this.#draw(), this.#options.intervalMs);
  }

  /** Draws no more numbers; what is waiting is still sent. Resolves when all of it is acknowledged. */
  async stop(): Promise<void> {
    if (this.#pace !== null) clearInterval(this.#pace);
    this.#pace = null;
    await this.#flushing;
  }

  #draw(): void {
    this.#drawn += 1;
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null;
    });
  }

  async #flush(): Promise<void> {
    while (this.waiting > 0) {
      const first = this.#acknowledged + 1;
      const last = Math.min(this.#drawn, first + BATCH_MAX - 1);
      await this.#sendUntilAnswered({ first, last, key: this.#options.newKey() });
      this.#acknowledged = last;
      this.#options.onAcknowledged(last);
    }
  }

  async #sendUntilAnswered(batch: Batch): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#options.send(batch);
        return;
      } catch (cause) {
        this.#options.onFailure(cause, attempt);
        const delay = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
        await new Promise((resolve) => setTimeout(resolve, delay));
      }
    }
  }
}
