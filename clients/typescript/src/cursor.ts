/**
 * Cursors: where a reader stands in the log (PROTOCOL.md section 2). Pure values and functions.
 */
import { AnywireError } from "./errors.js";

export interface Cursor {
  /** Names one incarnation of the log. */
  readonly epoch: string;
  /** Everything up to here has been seen. */
  readonly offset: number;
}

/** `"tail"`: only new events, and where that is is not known yet. `"0"`: from the oldest kept event. */
export type Position = Cursor | "tail" | "0";

const CURSOR = /^([0-9a-f]{8})-(0|[1-9][0-9]{0,15})$/;

/** The cursor a text stands for, or null if it is none. */
export function parseCursor(text: unknown): Cursor | null {
  const match = typeof text === "string" ? CURSOR.exec(text) : null;
  const offset = Number(match?.[2]);
  return match?.[1] && Number.isSafeInteger(offset) ? { epoch: match[1], offset } : null;
}

export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}-${cursor.offset}`;
}

/**
 * What an application gives as `after`. Throws `invalid_cursor`, so that the mistake shows where it was made.
 */
export function parseAfter(after: string | undefined): Position {
  if (after === undefined || after === "0") return after ?? "tail";
  const cursor = parseCursor(after);
  if (!cursor)
    throw new AnywireError("invalid_cursor", `after "${after}": give "<epoch>-<offset>", "0" or nothing`);
  return cursor;
}

/** The value of the `after` parameter; undefined means it is left out. */
export function formatPosition(position: Position): string | undefined {
  if (typeof position === "object") return formatCursor(position);
  return position === "0" ? position : undefined;
}

/**
 * Positions of one kind can share a request: they are comparable. In order, those that go back furthest come
 * first.
 */
export function kindOf(position: Position): string {
  return typeof position === "string" ? position : position.epoch;
}

/** The lowest of positions of one kind. */
export function lowest(positions: readonly Position[]): Position {
  let low = positions[0] ?? "tail";
  for (const position of positions) {
    if (typeof low === "object" && typeof position === "object" && position.offset < low.offset)
      low = position;
  }
  return low;
}
