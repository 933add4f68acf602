/**
 * Which transport carried which stretch of time.
 *
 * Invariants: stretches are in order, touch each other and never overlap; only the last one is open; at most
 * {@link STRETCHES_MAX} are kept.
 */
import type { Transport } from "@/shared/wire";

/** `down`: no transport was carrying anything. */
export type Carrier = Transport | "down";

export interface Stretch {
  carrier: Carrier;
  from: number;
  /** Null while it lasts. */
  to: number | null;
  events: number;
}

const STRETCHES_MAX = 400;

export class Timeline {
  readonly #stretches: Stretch[] = [];

  /** `carrier` is in charge from `at` on. */
  change(carrier: Carrier, at: number): void {
    const last = this.#stretches.at(-1);
    if (last?.carrier === carrier) return;
    if (last) last.to = Math.max(last.from, at);
    this.#stretches.push({ carrier, from: last?.to ?? at, to: null, events: 0 });
    if (this.#stretches.length > STRETCHES_MAX) this.#stretches.shift();
  }

  /** Nothing more is recorded. */
  end(at: number): void {
    const last = this.#stretches.at(-1);
    if (last && last.to === null) last.to = Math.max(last.from, at);
  }

  countEvent(): void {
    const last = this.#stretches.at(-1);
    if (last) last.events += 1;
  }

  get stretches(): readonly Stretch[] {
    return this.#stretches;
  }
}

export interface StripPiece {
  carrier: Carrier;
  /** Position and width as shares of the strip, 0 to 1. */
  left: number;
  width: number;
  events: number;
  durationMs: number;
}

/** The stretches that lie in `[now - windowMs, now]`, cut to it. */
export function stripPieces(stretches: readonly Stretch[], now: number, windowMs: number): StripPiece[] {
  const begin = now - windowMs;
  const pieces: StripPiece[] = [];
  for (const stretch of stretches) {
    const from = Math.max(stretch.from, begin);
    const to = Math.min(stretch.to ?? now, now);
    if (to <= from) continue;
    pieces.push({
      carrier: stretch.carrier,
      left: (from - begin) / windowMs,
      width: (to - from) / windowMs,
      events: stretch.events,
      durationMs: (stretch.to ?? now) - stretch.from,
    });
  }
  return pieces;
}

/** Time and events of each carrier over all stretches. */
export function totals(stretches: readonly Stretch[], now: number): Map<Carrier, { ms: number; events: number }> {
  const sums = new Map<Carrier, { ms: number; events: number }>();
  for (const stretch of stretches) {
    const sum = sums.get(stretch.carrier) ?? { ms: 0, events: 0 };
    sum.ms += Math.max(0, (stretch.to ?? now) - stretch.from);
    sum.events += stretch.events;
    sums.set(stretch.carrier, sum);
  }
  return sums;
}
