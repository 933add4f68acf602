/**
 * Figures over time as columns for charts: history of the server first, then what comes live. Pure.
 *
 * Invariants:
 * - times rise; what is not newer than the last row is dropped;
 * - between two samples further apart than expected stands a row of nulls: a hole stays a hole;
 * - a row covers one step: live samples join the row of their step, so that a long span does not grow finer
 *   and finer at its end.
 */
import type { Figures } from "./figures";
import type { Rows } from "./wire";

export type Column = (number | null)[];
export type Aligned = [number[], ...Column[]];

interface Cells {
  mean: Column;
  least: Column;
  greatest: Column;
}

const ROWS_MAX = 20_000;

export class Timeline {
  #times: number[] = [];
  readonly #cells = new Map<string, Cells>();
  #stepMs = 0;
  /** How many samples the last row holds. */
  #joined = 0;
  /** When the last sample was, which may be later than the last row began. */
  #lastAt: number | null = null;
  readonly spanMs: number;

  constructor(spanMs: number) {
    this.spanMs = spanMs;
  }

  get stepMs(): number {
    return this.#stepMs;
  }

  get length(): number {
    return this.#times.length;
  }

  /** Milliseconds; null while empty. */
  get lastAt(): number | null {
    return this.#lastAt;
  }

  /** Replaces everything by rows of the server. */
  load(rows: Rows, intervalMs: number): void {
    this.#cells.clear();
    this.#times = rows.samples.map((row) => row[0] ?? 0);
    this.#stepMs = rows.step_ms >= 3 * intervalMs ? rows.step_ms : 0;
    this.#joined = 1;
    for (const [index, field] of rows.fields.entries()) {
      const [, name = field, part] = /^(.*?)(?:\.(min|max))?$/.exec(field) ?? [];
      if (index === 0) continue;
      const column = rows.samples.map((row) => row[index] ?? null);
      const cells = this.#of(name);
      if (part === "min") cells.least = column;
      else if (part === "max") cells.greatest = column;
      else {
        cells.mean = column;
        if (this.#stepMs === 0) {
          cells.least = [...column];
          cells.greatest = [...column];
        }
      }
    }
    this.#lastAt = this.#lastKnown();
  }

  #lastKnown(): number | null {
    for (let row = this.#times.length - 1; row >= 0; row -= 1) {
      for (const cells of this.#cells.values()) {
        if (cells.mean[row] !== null) return (this.#times[row] ?? 0) + Math.max(0, this.#stepMs - 1);
      }
    }
    return null;
  }

  #of(name: string): Cells {
    let cells = this.#cells.get(name);
    if (!cells) {
      const empty = () => new Array<number | null>(this.#times.length).fill(null);
      cells = { mean: empty(), least: empty(), greatest: empty() };
      this.#cells.set(name, cells);
    }
    return cells;
  }

  /** Whether something is missing between the newest row and a sample of that time. */
  isLate(atMs: number, patienceMs: number): boolean {
    return this.#lastAt !== null && atMs - this.#lastAt > Math.max(patienceMs, 2 * this.#stepMs);
  }

  /** Takes a live sample; `patienceMs` is the longest distance to the one before without a hole. */
  push(atMs: number, figures: Figures, patienceMs: number): boolean {
    const last = this.#times.at(-1);
    if (this.#lastAt !== null && atMs <= this.#lastAt) {
      // The row of the server may end in the future of its own step: its samples are in it already.
      return false;
    }
    const row = this.#stepMs > 0 ? Math.floor(atMs / this.#stepMs) * this.#stepMs : atMs;
    if (last !== undefined && row <= last) this.#join(figures);
    else {
      if (this.#lastAt !== null && this.isLate(atMs, patienceMs)) this.#hole(this.#lastAt + 1);
      this.#append(Math.max(row, (this.#times.at(-1) ?? row - 1) + 1), figures);
    }
    this.#lastAt = atMs;
    this.#forget(atMs - this.spanMs);
    return true;
  }

  #append(time: number, figures: Figures): void {
    for (const name of figures.keys()) this.#of(name);
    this.#times.push(time);
    this.#joined = 1;
    for (const [name, cells] of this.#cells) {
      const value = figures.get(name) ?? null;
      cells.mean.push(value);
      cells.least.push(value);
      cells.greatest.push(value);
    }
  }

  #join(figures: Figures): void {
    const at = this.#times.length - 1;
    const count = this.#joined;
    this.#joined += 1;
    for (const [name, value] of figures) {
      const cells = this.#of(name);
      const before = cells.mean[at] ?? null;
      cells.mean[at] = before === null ? value : (before * count + value) / (count + 1);
      cells.least[at] = Math.min(value, cells.least[at] ?? value);
      cells.greatest[at] = Math.max(value, cells.greatest[at] ?? value);
    }
  }

  #hole(time: number): void {
    if (time > (this.#times.at(-1) ?? 0)) this.#append(time, new Map());
  }

  #forget(before: number): void {
    let gone = this.#times.findIndex((time) => time >= before);
    if (gone < 0) gone = this.#times.length;
    gone = Math.max(gone, this.#times.length - ROWS_MAX);
    // Seldom and many at once: to move all columns with each sample would be dear.
    if (gone < 64) return;
    this.#times.splice(0, gone);
    for (const cells of this.#cells.values())
      for (const column of [cells.mean, cells.least, cells.greatest]) column.splice(0, gone);
  }

  names(prefix: string): string[] {
    return [...this.#cells.keys()].filter((name) => name.startsWith(prefix));
  }

  /**
   * Seconds first, then for each figure its mean, least and greatest; without `extremes` the last two are
   * unknown.
   */
  columns(names: readonly string[], extremes: boolean): Aligned {
    const seconds = this.#times.map((time) => time / 1000);
    const empty = () => new Array<number | null>(seconds.length).fill(null);
    const columns = names.flatMap((name) => {
      const cells = this.#cells.get(name);
      if (!extremes) return [cells ? [...cells.mean] : empty(), empty(), empty()];
      return cells ? [[...cells.mean], [...cells.least], [...cells.greatest]] : [empty(), empty(), empty()];
    });
    return [seconds, ...columns];
  }
}

/**
 * No more than about `points` rows of one column each: the least and the greatest of every bucket, in their
 * order, so that no spike is lost. Rows that begin a hole stay.
 */
export function thin(columns: Aligned, points: number): Aligned {
  const [times, ...values] = columns;
  if (times.length <= points * 2 || values.length === 0) return columns;
  const bucket = Math.ceil(times.length / points);
  const keep: number[] = [];
  for (let start = 0; start < times.length; start += bucket) {
    const chosen = new Set<number>([start]);
    const end = Math.min(start + bucket, times.length);
    for (const column of values) chooseExtremes(column, start, end, chosen);
    keep.push(...[...chosen].sort((a, b) => a - b));
  }
  const cut = <T>(column: T[]) => keep.map((index) => column[index] as T);
  return [cut(times), ...values.map(cut)];
}

function chooseExtremes(column: Column, start: number, end: number, chosen: Set<number>): void {
  let least = -1;
  let greatest = -1;
  for (let row = start; row < end; row += 1) {
    const value = column[row] ?? null;
    if (value === null) {
      if (row > start && column[row - 1] !== null) chosen.add(row);
      continue;
    }
    if (least < 0 || value < (column[least] ?? value)) least = row;
    if (greatest < 0 || value > (column[greatest] ?? value)) greatest = row;
  }
  if (least >= 0) chosen.add(least);
  if (greatest >= 0) chosen.add(greatest);
}

export interface Strip {
  left: number;
  right: number;
  low: number;
  high: number;
}

/**
 * What a band fills: from each row to the next one a strip on whole pixels; rows of one pixel share theirs.
 * Nothing is filled across a hole, or outside of `first` to `last`.
 */
export function strips(
  least: ArrayLike<number | null | undefined>,
  greatest: ArrayLike<number | null | undefined>,
  x: (row: number) => number,
  first: number,
  last: number,
): Strip[] {
  const found: Strip[] = [];
  for (let row = 0; row < least.length; row += 1) {
    const [low, high] = [least[row], greatest[row]];
    if (low == null || high == null) continue;
    const left = Math.max(first, Math.round(x(row)));
    const known = row + 1 < least.length && least[row + 1] != null;
    const right = Math.min(last, Math.max(left + 1, known ? Math.round(x(row + 1)) : left + 1));
    if (right <= left) continue;
    const before = found.at(-1);
    if (before && before.right > left) {
      before.low = Math.min(before.low, low);
      before.high = Math.max(before.high, high);
      before.right = Math.max(before.right, right);
    } else found.push({ left, right, low, high });
  }
  return found;
}
