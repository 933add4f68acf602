/**
 * What each way of getting samples costs, as measured on this page while it was in use. Pure.
 */

export interface Cost {
  requests: number;
  bytes: number;
  /** The mean age of what was shown, over the time it was shown. */
  ageMs: number | null;
  /** How long was measured, at most a minute. */
  measuredMs: number;
  at: number;
}

const AGES_MAX = 60;

/** The mean of the ages of what is shown, looked at once a second. */
export class AgeMeter {
  readonly #ages: number[] = [];

  observe(ageMs: number): void {
    this.#ages.push(Math.max(0, ageMs));
    if (this.#ages.length > AGES_MAX) this.#ages.shift();
  }

  restart(): void {
    this.#ages.length = 0;
  }

  get mean(): number | null {
    if (this.#ages.length === 0) return null;
    return this.#ages.reduce((sum, age) => sum + age, 0) / this.#ages.length;
  }
}
