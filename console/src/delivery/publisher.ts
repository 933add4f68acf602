/**
 * A publisher of numbered events that survives outages.
 *
 * Numbers are drawn at a steady pace and wait in a queue. One request is under way at a time; it carries what
 * is waiting (at most {@link BATCH_MAX}) under an idempotency key and is repeated, same body and same key,
 * until the server has taken it. So no number is lost, none is appended twice, and they enter the log in
 * order.
 *
 * It gives up when it is told to, and when it is refused {@link REFUSALS_MAX} times running: once may be a
 * proxy whose server restarts.
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
  /** Whether a failure is an answer that asking again will not change. */
  isRefusal: (cause: unknown) => boolean;
  /** It gave up: what is waiting is not published. */
  onRefused: (cause: unknown) => void;
  intervalMs: number;
}

export const BATCH_MAX = 50;
export const REFUSALS_MAX = 5;
const RETRY_MS = [250, 500, 1000, 2000] as const;

export class Publisher {
  readonly #options: PublisherOptions;
  #drawn = 0;
  #acknowledged = 0;
  #pace: ReturnType<typeof setInterval> | null = null;
  #flushing: Promise<void> | null = null;
  #ended = false;
  #wake: () => void = () => undefined;

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

  /**
   * Draws no more numbers; what is waiting is still sent. Resolves when all of it is acknowledged, or given
   * up.
   */
  async stop(): Promise<void> {
    this.#rest();
    await this.#flushing;
  }

  /** Draws and sends nothing more. What is under way may still arrive; nobody is told. */
  giveUp(): void {
    this.#rest();
    this.#ended = true;
    this.#wake();
  }

  #rest(): void {
    if (this.#pace !== null) clearInterval(this.#pace);
    this.#pace = null;
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
      if (!(await this.#sendUntilTaken({ first, last, key: this.#options.newKey() }))) return;
      this.#acknowledged = last;
      this.#options.onAcknowledged(last);
    }
  }

  /** Answers whether the server took it; false if it was given up. */
  async #sendUntilTaken(batch: Batch): Promise<boolean> {
    let refusals = 0;
    for (let attempt = 0; !this.#ended; attempt += 1) {
      try {
        await this.#options.send(batch);
        return true;
      } catch (cause) {
        if (this.#ended) return false;
        this.#options.onFailure(cause, attempt);
        refusals = this.#options.isRefusal(cause) ? refusals + 1 : 0;
        if (refusals === REFUSALS_MAX) {
          this.giveUp();
          this.#options.onRefused(cause);
          return false;
        }
        await this.#pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
      }
    }
    return false;
  }

  #pause(ms: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
