/**
 * What a chart needs besides uPlot: times relative to now, a steady vertical range, and dots for points
 * without neighbours. Pure.
 */

type Columns = [number[], ...(number | null)[][]];

/** The same columns with times in seconds before `nowSeconds`; the newest point never lies in the future. */
export function relativeColumns(columns: Columns, nowSeconds: number): Columns {
  const [times, ...values] = columns;
  const end = Math.max(nowSeconds, times.at(-1) ?? nowSeconds);
  return [times.map((time) => time - end), ...values];
}

/** Where a value stands alone between holes: a line can't show it, a dot can. */
export function isolated(values: readonly (number | null | undefined)[]): number[] {
  const known = (index: number) => values[index] !== null && values[index] !== undefined;
  return values.flatMap((_, index) => (known(index) && !known(index - 1) && !known(index + 1) ? [index] : []));
}

/** From zero to a round number above `high`, so that the axis does not twitch with each sample. */
export function yRange(high: number | null): [number, number] {
  if (high === null || !Number.isFinite(high) || high <= 0) return [0, 1];
  const target = high * 1.1;
  const magnitude = 10 ** Math.floor(Math.log10(target));
  const step = [1, 2, 3, 4, 5, 6, 8, 10].find((factor) => factor * magnitude >= target) ?? 10;
  return [0, step * magnitude];
}
