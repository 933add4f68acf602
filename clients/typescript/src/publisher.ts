/**
 * Publisher: gets a publication into the log once, over whatever works.
 *
 * ```
 * ready ─► sent ─ acknowledged ─► done
 *   ▲        ├─ refused for good, timeout, abort, close ─► failed
 *   └─ back-off ◄─ no answer, busy, new token
 * ```
 *
 * Invariant: every attempt of one publication carries the same idempotency key, so an attempt that did arrive and one
 * that follows it are one event.
 */
import type { Environment } from "./environment.js";
import { AnywireError, isTransient, wantsToken } from "./errors.js";
import type { Http } from "./http.js";
import type { Link } from "./link.js";
import { jittered, type Policy, step } from "./policy.js";
import { type Fields, parseFields, type Receipt, readReceipt } from "./protocol.js";

export interface PublishOptions {
  /** Default: a new random one. Give your own if the same publication may be sent again after a reload. */
  readonly idempotencyKey?: string;
  /** How long to go on trying. Default 60 s. It should stay below the server's idempotency window. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class Publisher {
  readonly #http: Http;
  readonly #policy: Policy;
  readonly #link: () => Link;
  /** Ends of the publications under way. */
  readonly #open = new Set<(error: AnywireError) => void>();

  constructor(http: Http, policy: Policy, link: () => Link) {
    this.#http = http;
    this.#policy = policy;
    this.#link = link;
  }

  send(frame: Fields, { idempotencyKey, timeoutMs = 60_000, signal }: PublishOptions = {}): Promise<Receipt> {
    const { environment } = this.#http;
    const key = idempotencyKey ?? environment.randomId();
    const abort = new AbortController();
    return new Promise((resolve, reject) => {
      const end = (error: AnywireError) => {
        abort.abort();
        reject(error);
      };
      const onAbort = () => end(new AnywireError("aborted", "the caller ended the wait"));
      const timer = environment.setTimeout(
        () => end(new AnywireError("timeout", `not acknowledged within ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#open.add(end);
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted) onAbort();
      this.#run(frame, key, abort.signal)
        .then(resolve, reject)
        .finally(() => {
          environment.clearTimeout(timer);
          this.#open.delete(end);
          signal?.removeEventListener("abort", onAbort);
        });
    });
  }

  close(): void {
    for (const end of this.#open)
      end(new AnywireError("closed", "the connection was closed before the acknowledgement"));
  }

  async #run(frame: Fields, key: string, signal: AbortSignal): Promise<Receipt> {
    const { environment, token } = this.#http;
    for (let attempt = 0; ; attempt++) {
      try {
        if (signal.aborted) throw new AnywireError("aborted", "ended");
        return await this.#once(frame, key, attempt, signal);
      } catch (cause) {
        const error = cause instanceof AnywireError ? cause : new AnywireError("unreachable", String(cause));
        if (signal.aborted) throw error;
        if (wantsToken(error.code)) token.refused(error);
        else if (!isTransient(error.code)) throw error;
        const pauseMs = jittered(this.#policy, environment, step(this.#policy.backoffMs, attempt));
        await pause(environment, error.retryAfterMs ?? pauseMs, signal);
      }
    }
  }

  /** By turns over an open WebSocket, if there is one, and over HTTP: one of them may be what is broken. */
  #once(frame: Fields, key: string, attempt: number, signal: AbortSignal): Promise<Receipt> {
    const sent = attempt % 2 === 0 ? this.#link().publish({ ...frame, idempotency_key: key }) : null;
    return sent ? this.#answered(sent) : this.#post(frame, key, signal);
  }

  /** A socket can swallow a frame without a word. */
  #answered(sent: Promise<Receipt>): Promise<Receipt> {
    const { environment } = this.#http;
    return new Promise((resolve, reject) => {
      const timer = environment.setTimeout(
        () => reject(new AnywireError("unreachable", "no acknowledgement over the WebSocket")),
        this.#policy.requestTimeoutMs,
      );
      sent.then(resolve, reject).finally(() => environment.clearTimeout(timer));
    });
  }

  async #post(frame: Fields, key: string, signal: AbortSignal): Promise<Receipt> {
    const answer = await this.#http.request({
      path: "publish",
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify(frame),
      timeoutMs: this.#policy.requestTimeoutMs,
      signal,
    });
    return readReceipt(parseFields(await answer.text()));
  }
}

function pause(environment: Environment, pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = environment.setTimeout(resolve, pauseMs);
    signal.addEventListener("abort", () => {
      environment.clearTimeout(timer);
      resolve();
    });
  });
}
