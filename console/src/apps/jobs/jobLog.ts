/**
 * The lines of a job's output as the page holds them: they come by request and by event, in pieces that
 * overlap, and some never come.
 *
 * Pure. Where numbers jump, lines were cut; the view says how many.
 *
 * Invariants: lines stand in the order of their numbers, each once; never more than {@link LINES_MAX}, the
 * newest stay.
 */
import type { LogLine } from "@/shared/wire";

export const LINES_MAX = 5000;

export interface LogRow {
  line: LogLine;
  /** How many lines before it are not here. */
  cut: number;
}

/** `known` and `news` as one list; the same list when there is nothing new. */
export function mergeLines(known: readonly LogLine[], news: readonly LogLine[]): readonly LogLine[] {
  const last = known.at(-1)?.n ?? 0;
  const after = news.filter((line) => line.n > last);
  if (after.length === news.length) return after.length === 0 ? known : [...known, ...after].slice(-LINES_MAX);
  const byNumber = new Map([...known, ...news].map((line) => [line.n, line]));
  if (byNumber.size === known.length) return known;
  return [...byNumber.values()].sort((one, other) => one.n - other.n).slice(-LINES_MAX);
}

/** The number of the line before the first ones that are missing; null where none are. */
export function firstHole(lines: readonly LogLine[]): number | null {
  const next = lines.findIndex((line, index) => index > 0 && line.n !== (lines[index - 1]?.n ?? 0) + 1);
  return next < 0 ? null : (lines[next - 1]?.n ?? null);
}

export function logRows(lines: readonly LogLine[]): LogRow[] {
  return lines.map((line, index) => ({ line, cut: line.n - 1 - (lines[index - 1]?.n ?? 0) }));
}
