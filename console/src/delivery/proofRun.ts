/**
 * One run of the proof: publishes numbers to a channel of its own and follows them, through whatever the lab
 * does to the network.
 *
 * Invariants:
 * - it follows from a cursor taken before the first number is published, so the first numbers count too;
 * - after {@link ProofRun.abandon} nothing is called any more;
 * - it ends: a server that refuses for good is not asked for ever, and {@link ProofRun.giveUp} ends the wait
 *   for one that is away.
 */
import type { Follow } from "@/shared/live";
import { type Batch, Publisher, REFUSALS_MAX } from "./publisher";
import { SequenceCounter, type SequenceCounts } from "./sequence";
import { type Carrier, type Stretch, Timeline } from "./timeline";

const INTERVAL_MS = 200;
/** After the last acknowledgement, events have this long to arrive before they count as missing. */
const SETTLE_MS = 30_000;
/** A repeated event would come right behind the last one. */
const AFTERMATH_MS = 1000;

export interface ProofWires {
  follow: (options: Follow) => () => void;
  /** The cursor to follow from. */
  beginning: () => Promise<string>;
  publish: (channel: string, batch: Batch) => Promise<void>;
  newKey: () => string;
  /** Whether a failure is an answer that asking again will not change. */
  isRefusal: (cause: unknown) => boolean;
}

export class ProofRun {
  readonly channel: string;
  gaps = 0;
  /** Why publishing does not work just now, or null. */
  failure: string | null = null;
  /** Why it was ended by the server's answer, or null. */
  refusal: Error | null = null;
  readonly #wires: ProofWires;
  readonly #changed: () => void;
  readonly #counter = new SequenceCounter();
  readonly #timeline = new Timeline();
  readonly #publisher: Publisher;
  #release: (() => void) | null = null;
  #abandoned = false;

  constructor(channel: string, wires: ProofWires, changed: () => void) {
    this.channel = channel;
    this.#wires = wires;
    this.#changed = changed;
    this.#publisher = new Publisher({
      send: (batch) => wires.publish(channel, batch),
      newKey: wires.newKey,
      onAcknowledged: (last) => this.#acknowledged(last),
      onFailure: (cause) => this.#failed(cause),
      isRefusal: wires.isRefusal,
      onRefused: (cause) => this.#refused(cause),
      intervalMs: INTERVAL_MS,
    });
  }

  get counts(): SequenceCounts {
    return this.#counter.counts;
  }

  /** Numbers that wait to be published. */
  get queued(): number {
    return this.#publisher.waiting;
  }

  get stretches(): readonly Stretch[] {
    return this.#timeline.stretches;
  }

  /** Answers whether it began; false if it was abandoned while it waited for the server, or refused. */
  async start(carrier: () => Carrier): Promise<boolean> {
    const after = await this.#beginning();
    if (after === null) return false;
    this.#release = this.#wires.follow({
      channel: this.channel,
      after,
      onEvent: (event) => this.#received(event.data),
      onGap: () => {
        this.gaps += 1;
      },
    });
    this.carriedBy(carrier());
    this.#publisher.start();
    return true;
  }

  /** `carrier` is in charge from now on. */
  carriedBy(carrier: Carrier): void {
    this.#timeline.change(carrier, Date.now());
    this.#changed();
  }

  /**
   * Publishes no more, waits for what is under way, then judges. Answers false if it was abandoned before
   * that.
   */
  async settle(): Promise<boolean> {
    await this.#publisher.stop();
    const end = Date.now() + SETTLE_MS;
    while (!this.#abandoned && this.counts.onTheWay > 0 && Date.now() < end) await pause(100);
    await pause(AFTERMATH_MS);
    if (this.#abandoned) return false;
    this.#counter.settle();
    this.#timeline.end(Date.now());
    this.#release?.();
    this.#changed();
    return true;
  }

  /** What is not published yet stays so; what was published is still waited for and judged. */
  giveUp(): void {
    this.#publisher.giveUp();
  }

  abandon(): void {
    this.#abandoned = true;
    this.#release?.();
    this.#publisher.giveUp();
  }

  async #beginning(): Promise<string | null> {
    for (let refusals = 0; !this.#abandoned; ) {
      try {
        const cursor = await this.#wires.beginning();
        this.failure = null;
        return this.#abandoned ? null : cursor;
      } catch (cause) {
        this.#failed(cause);
        refusals = this.#wires.isRefusal(cause) ? refusals + 1 : 0;
        if (refusals === REFUSALS_MAX) {
          this.#refused(cause);
          return null;
        }
        await pause(1000);
      }
    }
    return null;
  }

  #received(data: unknown): void {
    if (this.#abandoned) return;
    this.#counter.receive(numberOf(data));
    this.#timeline.countEvent();
    this.#changed();
  }

  #acknowledged(last: number): void {
    if (this.#abandoned) return;
    this.#counter.acknowledge(last);
    this.failure = null;
    this.#changed();
  }

  #failed(cause: unknown): void {
    if (this.#abandoned) return;
    this.failure = errorOf(cause).message;
    this.#changed();
  }

  #refused(cause: unknown): void {
    if (this.#abandoned) return;
    this.refusal = errorOf(cause);
    this.#changed();
  }
}

function errorOf(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

function numberOf(data: unknown): number {
  return typeof data === "object" && data !== null && "n" in data ? Number(data.n) : Number.NaN;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
