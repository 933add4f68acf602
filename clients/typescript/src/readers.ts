/**
 * Readers: where each subscription stands, and what is therefore delivered to it (PROTOCOL.md section 14,
 * rules 1 and 2).
 *
 * A reader is one subscription to one channel. Several readers may follow one channel from different places:
 * the wire then carries the channel from the lowest of them, and each reader drops what it has.
 *
 * Invariants:
 * - Every transport starts at or below the position of every reader it serves, and has no holes after that.
 *   So any number of transports may deliver at once: what is at or below a reader's position is a repetition
 *   and is dropped.
 * - A wire moves only readers that it covers: those that were there when it was opened, and later ones that
 *   stand no lower.
 * - A position moves backwards only by a gap (`epoch`, `ahead`) that has been reported to the reader.
 */
import { type Cursor, formatCursor, kindOf, lowest, type Position } from "./cursor.js";
import type { AnywireError } from "./errors.js";
import { type AnywireEvent, type Gap, toAnywireEvent, type WireEvent, type WireGap } from "./protocol.js";

export interface Reader {
  readonly name: string;
  /** Become a member of the channel. */
  readonly presence: boolean;
  /** Only `Readers` writes it, once it was added. */
  position: Position;
  /** A wire that was opened before this version began too late for this reader, and must not move it. */
  version: number;
  takeEvent(event: AnywireEvent): void;
  takeGap(gap: Gap): void;
  /** The server refuses the channel; nothing will follow. */
  takeRefusal(error: AnywireError): void;
  /** The connection is closed. */
  close(): void;
}

/** Readers whose positions are comparable, so that one request can serve them. */
export interface Group {
  readonly kind: string;
  readonly readers: Reader[];
  readonly after: Position;
}

export class Readers {
  readonly #byChannel = new Map<string, Set<Reader>>();
  /** Called with true for a gap, false for an event that was delivered: for status. */
  readonly #observe: (gap: boolean) => void;
  #version = 0;

  constructor(observe: (gap: boolean) => void) {
    this.#observe = observe;
  }

  /** Rises whenever a reader comes that what is on the wire does not cover. A wire notes it when it opens. */
  get version(): number {
    return this.#version;
  }

  get channels(): string[] {
    return [...this.#byChannel.keys()];
  }

  /** The readers of some channels that a wire of this version covers. */
  all(channels: Iterable<string> = this.#byChannel.keys(), version = this.#version): Reader[] {
    const found: Reader[] = [];
    for (const channel of channels) {
      for (const reader of this.#byChannel.get(channel) ?? [])
        if (reader.version <= version) found.push(reader);
    }
    return found;
  }

  /** A wire of this version has to ask for the channel anew. */
  outgrew(channel: string, version: number): boolean {
    return this.all([channel]).some((reader) => reader.version > version);
  }

  add(reader: Reader): void {
    const others = this.all([reader.name]);
    if (reader.position === "tail") reader.position = highest(others) ?? "tail";
    const covering = others.filter((other) => covers(other.position, reader.position));
    reader.version =
      covering.length > 0 ? Math.min(...covering.map((other) => other.version)) : ++this.#version;
    this.#byChannel.set(reader.name, new Set([...others, reader]));
  }

  remove(reader: Reader): void {
    const readers = this.#byChannel.get(reader.name);
    readers?.delete(reader);
    if (readers?.size === 0) this.#byChannel.delete(reader.name);
  }

  /** Tells every reader of the channel, and forgets them. */
  refuse(channel: string, error: AnywireError): void {
    for (const reader of this.all([channel])) {
      this.remove(reader);
      reader.takeRefusal(error);
    }
  }

  /** Gives an event to those of these readers that are on its channel and have not had it. */
  deliver(epoch: string, wire: WireEvent, only: readonly Reader[]): void {
    const cursor: Cursor = { epoch, offset: wire.offset };
    let event: AnywireEvent | null = null;
    for (const reader of only) {
      if (reader.name !== wire.channel || isBehindOf(cursor, reader.position)) continue;
      reader.position = cursor;
      event ??= toAnywireEvent(epoch, wire);
      this.#observe(false);
      reader.takeEvent(event);
    }
  }

  /** Reports a gap to those of these readers that needed what is gone, and moves them behind it. */
  gap(wire: WireGap, only: readonly Reader[]): void {
    for (const reader of only) {
      const lost = wire.lost[reader.name];
      const next = wire.channels.includes(reader.name) ? behind(wire, reader.position, lost) : null;
      if (!next || typeof reader.position !== "object") continue;
      const { name, position } = reader;
      reader.position = next;
      this.#observe(true);
      reader.takeGap({
        channel: name,
        from: formatCursor(position),
        to: formatCursor(wire.to),
        reason: wire.reason,
        lost: typeof lost === "number" ? lost : null,
      });
    }
  }

  /** These readers have seen everything up to the cursor. */
  raise(readers: readonly Reader[], cursor: Cursor): void {
    for (const reader of readers) {
      const { position } = reader;
      const known = typeof position === "object";
      // Another epoch is reached by a gap only: a late word from the old one must not throw the reader back.
      if (!known || (position.epoch === cursor.epoch && position.offset < cursor.offset))
        reader.position = cursor;
    }
  }

  /** Delivery to those that asked for the tail starts here. */
  start(readers: readonly Reader[], cursor: Cursor): void {
    this.raise(
      readers.filter((reader) => reader.position === "tail"),
      cursor,
    );
  }
}

/** Readers by the kind of their positions, in the order of the kinds. */
export function group(readers: readonly Reader[]): Group[] {
  const kinds = [...new Set(readers.map((reader) => kindOf(reader.position)))].sort();
  return kinds.map((kind) => {
    const members = readers.filter((reader) => kindOf(reader.position) === kind);
    return { kind, readers: members, after: lowest(members.map((reader) => reader.position)) };
  });
}

export function channelsOf(readers: readonly Reader[]): string[] {
  return [...new Set(readers.map((reader) => reader.name))];
}

/** The greatest offset any of them has. */
export function highest(readers: readonly Reader[]): Cursor | null {
  let high: Cursor | null = null;
  for (const { position } of readers) {
    if (typeof position === "object" && (!high || position.offset > high.offset)) high = position;
  }
  return high;
}

/** What is delivered from `from` on holds everything that a reader at `position` needs. */
export function covers(from: Position, position: Position): boolean {
  if (typeof from === "object" && typeof position === "object") {
    return from.epoch === position.epoch && from.offset <= position.offset;
  }
  return from === position;
}

function isBehindOf(cursor: Cursor, position: Position): boolean {
  return typeof position === "object" && position.epoch === cursor.epoch && cursor.offset <= position.offset;
}

/**
 * Where a reader goes on after a gap, or null if it lost nothing. Other readers may have been further back
 * than this one, and two transports may report the same gap.
 */
function behind(wire: WireGap, position: Position, lost: unknown): Cursor | null {
  if (typeof position !== "object") return null;
  if (position.epoch !== wire.to.epoch) return wire.to;
  if (wire.reason === "ahead" && wire.from && position.offset >= wire.from.offset) return wire.to;
  const taken = wire.reason === "trimmed" || wire.reason === "damaged";
  if (taken && typeof lost === "number" && lost > position.offset) {
    return { epoch: position.epoch, offset: lost };
  }
  return null;
}
