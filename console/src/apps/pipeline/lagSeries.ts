/**
 * The lag of each topic over the last minutes, as columns for the chart: one row a second, at most
 * {@link ROWS_MAX}.
 *
 * Lag comes only when it changes; between two changes it is what it was.
 */
import type { PipelineState } from "./wire";

const ROWS_MAX = 300;

/** The lag of each topic in messages: null where no partition of it was ever committed. */
export function lagByTopic(state: PipelineState): Map<string, number | null> {
  const sums = new Map<string, number | null>();
  for (const { topic, messages } of state.lag) {
    const before = sums.get(topic) ?? null;
    sums.set(topic, messages === null ? before : (before ?? 0) + messages);
  }
  return sums;
}

export class LagSeries {
  #topics: string[] = [];
  #rows: { time: number; values: Map<string, number | null> }[] = [];

  get topics(): readonly string[] {
    return this.#topics;
  }

  /** A second has passed: the lag is this. A null is a hole: it is not known. */
  tick(state: PipelineState | null, atSeconds: number): void {
    const values = state ? lagByTopic(state) : new Map<string, number | null>();
    if (state) this.#topics = [...values.keys()];
    this.#rows.push({ time: atSeconds, values });
    if (this.#rows.length > ROWS_MAX) this.#rows.shift();
  }

  columns(): [number[], ...(number | null)[][]] {
    const columns = this.#topics.map((topic) => this.#rows.map((row) => row.values.get(topic) ?? null));
    return [this.#rows.map((row) => row.time), ...columns];
  }
}
