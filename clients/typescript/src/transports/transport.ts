/**
 * Transport: one way to carry events from the server to the readers, for as long as it holds.
 *
 * ```
 * new ─ open() ─► opening ─ owner.opened ─► delivering
 *                    └─────────┬──────────────┘
 *            owner.failed (once) or close()
 *                             ▼
 *                           over
 * ```
 *
 * A transport never reconnects by itself: what a failure means, and where to go on, is decided by the link.
 */
import { Alarm } from "../alarm.js";
import type { Cursor } from "../cursor.js";
import type { Environment } from "../environment.js";
import { AnywireError, asError, remedyFor } from "../errors.js";
import type { FailureKind } from "../ladder.js";
import type { LinkHost } from "../link.js";
import type { TransportName } from "../policy.js";
import { type Fields, positive, type Receipt, type WireEvent, type WireGap } from "../protocol.js";
import type { Reader } from "../readers.js";

/**
 * `token`: get another one. `rejected`: the request itself is at fault. Otherwise evidence for the ladder.
 */
export interface Failure {
  readonly kind: FailureKind | "token" | "rejected";
  readonly error: AnywireError;
}

/** Who opened the transport, and decides what follows. */
export interface TransportOwner {
  /** It delivers. Called once. */
  opened(transport: Transport): void;
  /** It is over. Called at most once. */
  failed(transport: Transport, failure: Failure): void;
  /** It has delivered up to {@link Transport.progress}. */
  advanced(transport: Transport): void;
}

export abstract class Transport {
  abstract readonly name: TransportName;
  protected readonly host: LinkHost;
  protected readonly environment: Environment;
  readonly #owner: TransportOwner;
  /** The greatest offset it has reached. */
  progress = -1;
  #isOpened = false;
  #isOver = false;
  readonly #watch: Alarm;
  #lastByteAt = 0;

  constructor(owner: TransportOwner, host: LinkHost) {
    this.#owner = owner;
    this.host = host;
    this.environment = host.http.environment;
    this.#watch = new Alarm(this.environment);
  }

  abstract open(): void;
  /** The set of readers has changed. */
  abstract update(): void;
  /** Something happened that may have killed the connection unnoticed: find out now. */
  abstract check(): void;
  protected abstract teardown(): void;

  /** Publishes over this transport; null if it can't. */
  publish(_frame: Fields): Promise<Receipt> | null {
    return null;
  }

  get isOpened(): boolean {
    return this.#isOpened;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ends it; nothing is reported any more. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch.clear();
    this.teardown();
  }

  protected fail(kind: Failure["kind"], error: AnywireError): void {
    if (this.#isOver) return;
    this.close();
    this.#owner.failed(this, { kind, error });
  }

  protected goodbye({ retry_ms }: Fields): void {
    this.fail("goodbye", new AnywireError("shutting_down", "goodbye", positive(retry_ms)));
  }

  /** Fails for an error of a request, by what its code says about whose fault it is. */
  protected failFor(error: unknown, otherwise: FailureKind): void {
    const known = asError(error);
    const remedy = remedyFor(known);
    this.fail(remedy === "network" ? (this.#isOpened ? "lost" : otherwise) : remedy, known);
  }

  protected setOpened(): void {
    if (this.#isOpened || this.#isOver) return;
    this.#isOpened = true;
    this.#owner.opened(this);
  }

  protected takeEvent(epoch: string, event: WireEvent, only: readonly Reader[]): void {
    this.host.readers.deliver(epoch, event, only);
    this.advance(event.offset);
  }

  protected takeGap(gap: WireGap, only: readonly Reader[]): void {
    this.host.readers.gap(gap, only);
    this.advance(gap.to.offset);
  }

  protected takeCursor(cursor: Cursor, only: readonly Reader[]): void {
    this.host.readers.raise(only, cursor);
    this.advance(cursor.offset);
  }

  protected advance(offset: number): void {
    if (offset > this.progress) this.progress = offset;
    if (!this.#isOver) this.#owner.advanced(this);
  }

  get silentMs(): number {
    return this.environment.now() - this.#lastByteAt;
  }

  /** Something arrived. */
  protected touch(): void {
    this.#lastByteAt = this.environment.now();
  }

  /** Fails as silent if nothing arrives for so long. */
  protected watch(limitMs: number): void {
    if (this.#isOver) return;
    this.touch();
    const look = () => {
      const leftMs = limitMs - this.silentMs;
      if (leftMs > 0) return this.#watch.set(leftMs, look);
      // One that has delivered may just have lost its network; whether it is held back shows when it is
      // opened again.
      this.fail(this.#isOpened ? "lost" : "silent", new AnywireError("unreachable", "silent"));
    };
    look();
  }
}
