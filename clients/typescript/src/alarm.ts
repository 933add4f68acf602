/**
 * Alarm: one timer that can be set anew and cleared, and a pause that can be cut short.
 */
import type { Environment } from "./environment.js";

export class Alarm {
  readonly #environment: Environment;
  #timer: unknown = null;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  get isSet(): boolean {
    return this.#timer !== null;
  }

  /** Rings once, after this time; what it was set to before is forgotten. */
  set(delayMs: number, ring: () => void): void {
    this.clear();
    this.#timer = this.#environment.setTimeout(() => {
      this.#timer = null;
      ring();
    }, delayMs);
  }

  clear(): void {
    if (this.isSet) this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** Resolves after this time, or as soon as the signal says so. */
export function sleep(environment: Environment, pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const alarm = new Alarm(environment);
    const wake = () => {
      alarm.clear();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    alarm.set(pauseMs, wake);
    signal.addEventListener("abort", wake);
    if (signal.aborted) wake();
  });
}
