/**
 * Transport: one way to carry events from the server to the readers, for as long as it holds.
 *
 * ```
 * new ─ open() ─► opening ─ host.opened ─► delivering
 *                    └────────┬──────────────┘
 *            host.failed (once) or close()
 *                             ▼
 *                           over
 * ```
 *
 * A transport never reconnects by itself: what a failure means, and where to go on, is decided by the link.
 */
import type { Cursor } from "../cursor.js";
import { AnywireError, isTransient, wantsToken } from "../errors.js";
import type { Http } from "../http.js";
import type { FailureKind } from "../ladder.js";
import type { Policy, TransportName } from "../policy.js";
import type { Fields, Receipt, WireEvent, WireGap } from "../protocol.js";
import type { Reader, Readers } from "../readers.js";

/** `token`: get another one. `rejected`: the request itself is at fault. Otherwise evidence for the ladder. */
export interface Failure {
  readonly kind: FailureKind | "token" | "rejected";
  readonly error: AnywireError;
}

/** What a transport may use of the link that owns it. */
export interface TransportHost {
  readonly http: Http;
  readonly policy: Policy;
  readonly readers: Readers;
  /** Names this client on the server. */
  readonly client: string;
  /** The application gave the name; only then do polls carry it, because a cache can't share a URL with a name in it. */
  readonly isClientNamed: boolean;
  /** The server's heartbeat interval, as far as known. */
  heartbeatMs: number;
  /** It delivers. Called once. */
  opened(transport: Transport): void;
  /** It is over. Called at most once. */
  failed(transport: Transport, failure: Failure): void;
  /** It has delivered up to {@link Transport.progress}. */
  advanced(transport: Transport): void;
  /** Round trip in milliseconds. */
  measured(latencyMs: number): void;
  /** The server refuses one channel; the others go on. */
  refuse(channel: string, error: AnywireError): void;
}

export abstract class Transport {
  abstract readonly name: TransportName;
  protected readonly host: TransportHost;
  /** The greatest offset it has reached. */
  progress = -1;
  #isOpened = false;
  #isOver = false;
  #watch: unknown = null;
  #lastByteAt = 0;

  constructor(host: TransportHost) {
    this.host = host;
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
    this.watch(null);
    this.teardown();
  }

  protected fail(kind: Failure["kind"], error: AnywireError): void {
    if (this.#isOver) return;
    this.close();
    this.host.failed(this, { kind, error });
  }

  /** Fails for an error of a request, by what its code says about whose fault it is. */
  protected failFor(error: unknown, otherwise: FailureKind): void {
    const known = error instanceof AnywireError ? error : new AnywireError("unreachable", String(error));
    this.fail(kindOfError(known) ?? (this.#isOpened ? "lost" : otherwise), known);
  }

  protected setOpened(): void {
    if (this.#isOpened || this.#isOver) return;
    this.#isOpened = true;
    this.host.opened(this);
  }

  protected takeEvent(epoch: string, event: WireEvent, only: readonly Reader[]): void {
    this.host.readers.deliver(epoch, event, only);
    this.#advance(event.offset);
  }

  protected takeGap(gap: WireGap, only: readonly Reader[]): void {
    this.host.readers.gap(gap, only);
    this.#advance(gap.to.offset);
  }

  protected takeCursor(cursor: Cursor, only: readonly Reader[]): void {
    this.host.readers.raise(only, cursor);
    this.#advance(cursor.offset);
  }

  #advance(offset: number): void {
    if (offset > this.progress) this.progress = offset;
    if (!this.#isOver) this.host.advanced(this);
  }

  get silentMs(): number {
    return this.host.http.environment.now() - this.#lastByteAt;
  }

  /** Something arrived. */
  protected touch(): void {
    this.#lastByteAt = this.host.http.environment.now();
  }

  /** Fails as silent if nothing arrives for so long; null stops watching. */
  protected watch(limitMs: (() => number) | null): void {
    const { environment } = this.host.http;
    if (this.#watch !== null) environment.clearTimeout(this.#watch);
    this.#watch = null;
    if (!limitMs || this.#isOver) return;
    this.touch();
    const look = () => {
      const leftMs = this.#lastByteAt + limitMs() - environment.now();
      // One that has delivered may just have lost its network; whether it is held back shows when it is opened again.
      if (leftMs <= 0)
        this.fail(
          this.#isOpened ? "lost" : "silent",
          new AnywireError("unreachable", `${this.name}: nothing arrives`),
        );
      else this.#watch = environment.setTimeout(look, leftMs);
    };
    look();
  }
}

/** What an error says about a transport, or null if nothing: then it is the network. */
export function kindOfError({ code }: AnywireError): "token" | "rejected" | "blocked" | "busy" | null {
  if (code === "unreachable" || code === "bad_answer") return null;
  if (wantsToken(code)) return "token";
  if (code === "transport_blocked") return "blocked";
  return isTransient(code) ? "busy" : "rejected";
}
