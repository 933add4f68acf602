/**
 * Publisher: gets a publication into the log once, over whatever works.
 *
 * ```
 * ready ─► sent ─ acknowledged ─► done
 *   ▲        ├─ refused for good, timeout, close ─► failed
 *   └─ back-off ◄─ no answer, busy, new token
 * ```
 *
 * Invariant: every attempt of one publication carries the same idempotency key, so an attempt that did arrive
 * and one that follows it are one event.
 */
import { Alarm, sleep } from "./alarm.js";
import { AnywireError, asError, remedyFor } from "./errors.js";
import { fieldsOf, type Http } from "./http.js";
import type { Link } from "./link.js";
import { jittered, type Policy, step } from "./policy.js";
import { type Fields, type Receipt, readReceipt } from "./protocol.js";

export interface PublishOptions {
  /** Default: a new random one. Give your own if the same publication may be sent again after a reload. */
  readonly idempotencyKey?: string;
  /** How long to go on trying. Default 60 s. It should stay below the server's idempotency window. */
  readonly timeoutMs?: number;
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

  send(frame: Fields, { idempotencyKey, timeoutMs = 60_000 }: PublishOptions = {}): Promise<Receipt> {
    const { environment } = this.#http;
    const key = idempotencyKey ?? environment.randomId();
    const abort = new AbortController();
    return new Promise((resolve, reject) => {
      const alarm = new Alarm(environment);
      const end = (error: AnywireError) => {
        abort.abort();
        reject(error);
      };
      alarm.set(timeoutMs, () => end(new AnywireError("timeout", `no answer in ${timeoutMs} ms`)));
      this.#open.add(end);
      this.#run(frame, key, abort.signal)
        .then(resolve, reject)
        .finally(() => {
          alarm.clear();
          this.#open.delete(end);
        });
    });
  }

  close(): void {
    for (const end of this.#open) end(new AnywireError("closed", "closed"));
  }

  async #run(frame: Fields, key: string, signal: AbortSignal): Promise<Receipt> {
    const { environment, token } = this.#http;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(frame, key, attempt);
      } catch (cause) {
        const error = asError(cause);
        const remedy = remedyFor(error);
        if (remedy === "token") token.refused(error);
        else if (remedy !== "network" && remedy !== "busy") throw error;
        const pauseMs = jittered(this.#policy, environment, step(this.#policy.backoffMs, attempt));
        if (!signal.aborted) await sleep(environment, error.retryAfterMs ?? pauseMs, signal);
        if (signal.aborted) throw error; // nobody waits for it any more
      }
    }
  }

  /** By turns over an open WebSocket, if there is one, and over HTTP: one of them may be what is broken. */
  #once(frame: Fields, key: string, attempt: number): Promise<Receipt> {
    const sent = attempt % 2 === 0 ? this.#link().publish({ ...frame, idempotency_key: key }) : null;
    return sent ?? this.#post(frame, key);
  }

  async #post(frame: Fields, key: string): Promise<Receipt> {
    const request = {
      path: "publish",
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify(frame),
      timeoutMs: this.#policy.requestTimeoutMs,
    } as const;
    return readReceipt(await this.#http.request(request, fieldsOf));
  }
}
