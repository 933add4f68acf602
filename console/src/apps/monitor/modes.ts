/** How the page gets its samples, and how long it waits before it calls them stale. Pure. */

export const POLLS_MS = [1000, 2000, 5000, 10_000, 30_000] as const;

export interface Mode {
  kind: "poll" | "stream";
  everyMs: number;
}

export const DEFAULT_MODE: Mode = { kind: "poll", everyMs: 5000 };
export const STREAM: Mode = { kind: "stream", everyMs: 1000 };
export const BRIEF_STREAM: Mode = { kind: "stream", everyMs: 5000 };
export const MODES: readonly Mode[] = [
  ...POLLS_MS.map((everyMs): Mode => ({ kind: "poll", everyMs })),
  STREAM,
  BRIEF_STREAM,
];

export function keyOf(mode: Mode): string {
  return `${mode.kind}-${mode.everyMs}`;
}

export function modeOf(key: string): Mode {
  return MODES.find((mode) => keyOf(mode) === key) ?? DEFAULT_MODE;
}

/** Only the main figures come this way: cores, disks and the server's own are in whole samples. */
export function isBrief(mode: Mode): boolean {
  return mode.kind === "stream" && mode.everyMs === BRIEF_STREAM.everyMs;
}

/** What the way and a beat that comes a little late may take at most, however long the interval is. */
const GRACE_MS = 1500;

/** How long after a sample the next one is overdue: within one interval of when it should have come. */
export function staleAfterMs(mode: Mode, intervalMs: number): number {
  const every = mode.kind === "stream" && !isBrief(mode) ? intervalMs : Math.max(mode.everyMs, intervalMs);
  return every + Math.min(every, GRACE_MS);
}

/** The longest distance between two samples that is no hole. */
export function holeAfterMs(mode: Mode, intervalMs: number): number {
  const every = mode.kind === "stream" && !isBrief(mode) ? intervalMs : Math.max(mode.everyMs, intervalMs);
  return every * 2.5;
}

export const SPANS_MS = [300_000, 900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000, 2_592_000_000] as const;
export const DEFAULT_SPAN_MS = 300_000;

export interface View {
  from: number;
  to: number;
}

/** The narrowest view: five samples of the default rate. */
const VIEW_MIN_MS = 5000;

/** A part of what is seen, moved by a share of its width. It never goes beyond now. */
export function pan(view: View, share: number, now: number): View {
  const width = view.to - view.from;
  const to = Math.min(now, view.to + width * share);
  return { from: to - width, to };
}

/** Wider or narrower about its middle. */
export function zoom(view: View, factor: number, now: number): View {
  const middle = (view.from + view.to) / 2;
  const half = Math.max(VIEW_MIN_MS, (view.to - view.from) * factor) / 2;
  const to = Math.min(now, middle + half);
  return { from: to - 2 * half, to };
}
