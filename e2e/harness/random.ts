/** A seeded random source (mulberry32): a failure is repeated with the seed that it printed. */

export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed = Number(process.env.E2E_SEED) || Date.now() % 1_000_000) {
    this.seed = seed;
    this.#state = seed;
  }

  /** 0 <= x < 1 */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let word = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.between(0, items.length - 1)] ?? items[0];
  }

  normal(): number {
    let sum = -6;
    for (let round = 0; round < 12; round += 1) sum += this.unit();
    return sum;
  }
}
