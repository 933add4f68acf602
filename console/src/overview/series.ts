/**
 * The last minutes of samples, as columns for a chart.
 *
 * Invariants:
 * - times rise; a sample that is not newer than the last one is dropped;
 * - between two samples more than the given patience apart stands a row of nulls: a hole in the data is a
 *   hole in the chart, nothing is interpolated;
 * - rows older than the window are forgotten.
 */
import type { OverviewSample } from "@/shared/wire";

export const WINDOW_MS = 5 * 60_000;
/** How much silence is a hole: samples come each second, but a client that polls asks only every five. */
export function patienceMs(transport: string | null): number {
  return transport === "poll" ? 9000 : 4000;
}

export interface Row {
  /** Seconds since 1970, as uPlot wants it. */
  time: number;
  values: (number | null)[];
  /** Stands for samples that did not come. */
  isHole?: true;
}

/** Samples of one second, seen once as they came and once in the history, are this close. */
const SAME_S = 1.5;

export type Pick = (sample: OverviewSample) => number | null;

export class Series {
  #rows: Row[] = [];
  readonly #picks: readonly Pick[];

  constructor(picks: readonly Pick[]) {
    this.#picks = picks;
  }

  push(sample: OverviewSample, receivedAt: number, patience: number): void {
    const last = this.#rows.at(-1);
    const time = receivedAt / 1000;
    if (last && time <= last.time) return;
    this.#add({ time, values: this.#picks.map((pick) => finite(pick(sample))) }, patience);
    this.#rows = this.#rows.filter((row) => row.time * 1000 >= receivedAt - WINDOW_MS - patience);
  }

  /** Puts what is known from elsewhere where no sample came; what came stays as it is. */
  recall(past: readonly Row[], patience: number): void {
    const own = this.#rows.filter((row) => !row.isHole);
    const missed = past.filter(({ time }) => !own.some((row) => Math.abs(row.time - time) < SAME_S));
    this.#rows = [];
    for (const row of [...own, ...missed].sort((one, other) => one.time - other.time)) this.#add(row, patience);
  }

  #add(row: Row, patience: number): void {
    const last = this.#rows.at(-1);
    if (last && (row.time - last.time) * 1000 > patience)
      this.#rows.push({ time: last.time + 1, values: this.#picks.map(() => null), isHole: true });
    this.#rows.push(row);
  }

  /** Times first, then a column for each pick; `[[], [], …]` without data. */
  columns(): [number[], ...(number | null)[][]] {
    const columns = this.#picks.map((_, index) => this.#rows.map((row) => row.values[index] ?? null));
    return [this.#rows.map((row) => row.time), ...columns];
  }

  get length(): number {
    return this.#rows.length;
  }
}

function finite(value: number | null | undefined): number | null {
  return value === null || value === undefined || !Number.isFinite(value) ? null : value;
}
