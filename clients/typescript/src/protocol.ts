/**
 * Protocol: the shapes on the wire (PROTOCOL.md) and what the application is given for them. Pure.
 *
 * Nothing that arrives is trusted: each `read…` gives null for what is not of the shape it reads.
 */
import { type Cursor, formatCursor, parseCursor } from "./cursor.js";

/** What an application gets. */
export interface AnywireEvent<Name extends string = string, Data = unknown> {
  readonly channel: string;
  readonly event: Name;
  /** The place in the log; later events have greater offsets. */
  readonly offset: number;
  /** When the log took it, ISO-8601 UTC with milliseconds. */
  readonly time: string;
  /** Published bytes arrive as `Uint8Array`. */
  readonly data: Data;
  /** Give this as `after` to go on behind this event. */
  readonly cursor: string;
}

export type GapReason = "trimmed" | "damaged" | "epoch" | "ahead";

/** Events that this subscription needed and cannot get any more: load the state afresh. */
export interface Gap {
  readonly channel: string;
  /** Where the subscription stood. */
  readonly from: string;
  /** Where delivery goes on. */
  readonly to: string;
  readonly reason: GapReason;
  /** The greatest offset that is gone, if the server knows it. */
  readonly lost: number | null;
}

export interface WireEvent {
  readonly channel: string;
  readonly event: string;
  readonly offset: number;
  readonly time: string;
  readonly data: unknown;
}

export interface WireGap {
  readonly from: Cursor | null;
  readonly to: Cursor;
  readonly channels: readonly string[];
  readonly reason: GapReason;
  readonly lost: Fields;
}

export interface Publication {
  readonly channel: string;
  readonly event?: string;
  /** Anything JSON can say, or bytes. */
  readonly data?: unknown;
}

export interface Receipt {
  readonly cursor: string;
  readonly offsets: readonly number[];
  /** The idempotency key had been used: nothing was appended a second time. */
  readonly duplicate: boolean;
}

export interface Member {
  readonly client: string;
  readonly user: string | null;
  readonly joined_at: string;
}

export interface Presence {
  /** Follow `$presence:<channel>` after this cursor: joins and leaves come without a seam. */
  readonly cursor: string;
  readonly members: readonly Member[];
}

/** A JSON object whose members are not known yet. */
export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

/**
 * The object in a JSON text; empty if it is no JSON or no object, so that looking for members finds nothing.
 */
export function parseFields(text: unknown): Fields {
  try {
    const value: unknown = typeof text === "string" ? JSON.parse(text) : null;
    return isFields(value) ? value : {};
  } catch {
    return {};
  }
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function positive(value: unknown): number | null {
  return typeof value === "number" && value > 0 ? value : null;
}

export function readEvent(fields: Fields): WireEvent | null {
  const { channel, event, offset, time, data, encoding } = fields;
  if (typeof channel !== "string" || typeof event !== "string" || typeof offset !== "number") return null;
  return {
    channel,
    event,
    offset,
    time: text(time),
    data: encoding === "base64" ? fromBase64(text(data)) : data,
  };
}

export function readGap(fields: Fields): WireGap | null {
  const to = parseCursor(fields.to);
  if (!to) return null;
  const channels = list(fields.channels).map(text);
  const lost = isFields(fields.lost) ? fields.lost : {};
  return { from: parseCursor(fields.from), to, channels, reason: fields.reason as GapReason, lost };
}

export function readReceipt(fields: Fields): Receipt {
  return {
    cursor: text(fields.cursor),
    offsets: list(fields.offsets).map(Number),
    duplicate: fields.duplicate === true,
  };
}

export function readPresence(fields: Fields): Presence {
  return { cursor: text(fields.cursor), members: list(fields.members) as readonly Member[] };
}

export function toAnywireEvent(epoch: string, wire: WireEvent): AnywireEvent {
  return { ...wire, cursor: formatCursor({ epoch, offset: wire.offset }) };
}

/** The members of a publication as they go into a frame or a body. */
export function writePublication({ channel, event, data }: Publication): Fields {
  const named = event === undefined ? { channel } : { channel, event };
  if (data instanceof Uint8Array) return { ...named, encoding: "base64", data: toBase64(data) };
  return { ...named, data: data ?? null };
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(encoded: string): Uint8Array {
  return Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
}
