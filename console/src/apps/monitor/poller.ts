/**
 * Polls the newest sample of a host, one request at a time; what the page has already is not sent again
 * (`ETag`, `304`).
 *
 * Invariants:
 * - there is never more than one request under way, and after `stop` nothing is told any more;
 * - a failure ends nothing: the next poll comes at its time.
 */
import type { HostSample } from "./wire";

export interface PollAnswer {
  /** Null when there is nothing newer. */
  sample: HostSample | null;
  status: number;
  text: string;
}

export interface PollerOptions {
  url: string;
  everyMs: number;
  fetch: typeof fetch;
  onAnswer: (answer: PollAnswer) => void;
  onFailure: (message: string, status: number) => void;
  setTimeout?: (callback: () => void, ms: number) => unknown;
  clearTimeout?: (timer: unknown) => void;
}

const PATIENCE_MS = 10_000;

export class Poller {
  readonly #options: PollerOptions;
  #tag: string | null = null;
  #timer: unknown = null;
  #stopped = false;
  #busy = false;

  constructor(options: PollerOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#round();
  }

  stop(): void {
    this.#stopped = true;
    (this.#options.clearTimeout ?? ((timer) => clearTimeout(timer as number)))(this.#timer);
  }

  /** Polls at once, as when a person asks for it. */
  async poll(): Promise<void> {
    if (this.#busy || this.#stopped) return;
    this.#busy = true;
    try {
      await this.#ask();
    } catch (cause) {
      if (!this.#stopped) this.#options.onFailure(cause instanceof Error ? cause.message : String(cause), 0);
    } finally {
      this.#busy = false;
    }
  }

  async #round(): Promise<void> {
    await this.poll();
    if (this.#stopped) return;
    const later = this.#options.setTimeout ?? ((callback, ms) => setTimeout(callback, ms));
    this.#timer = later(() => void this.#round(), this.#options.everyMs);
  }

  async #ask(): Promise<void> {
    const headers: Record<string, string> = { Accept: "application/json" };
    if (this.#tag !== null) headers["If-None-Match"] = this.#tag;
    const signal = AbortSignal.timeout(Math.max(PATIENCE_MS, this.#options.everyMs));
    const response = await this.#options.fetch(this.#options.url, { headers, cache: "no-store", signal });
    const text = response.status === 304 ? "" : await response.text();
    if (this.#stopped) return;
    if (response.status === 304) {
      this.#options.onAnswer({ sample: null, status: 304, text: "" });
      return;
    }
    if (!response.ok) {
      this.#options.onFailure(messageOf(text), response.status);
      return;
    }
    const sample = JSON.parse(text) as HostSample;
    this.#tag = response.headers.get("ETag");
    this.#options.onAnswer({ sample, status: response.status, text });
  }
}

function messageOf(text: string): string {
  try {
    const body = JSON.parse(text) as { message?: unknown };
    return typeof body.message === "string" ? body.message : text.slice(0, 200);
  } catch {
    return text.slice(0, 200);
  }
}
