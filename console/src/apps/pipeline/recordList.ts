/**
 * The newest records, newest first, kept current by events.
 *
 * Invariants:
 * - a record stands in the list once, however often it is delivered;
 * - at most {@link RecordList.max} records are held: the oldest go;
 * - an event of a record that is not held changes nothing.
 */
import type { LogEntry, RecordStatus } from "./wire";

export interface PipelineEvent {
  event: string;
  data: unknown;
}

/** What an event may carry; which of it depends on its name. */
interface Payload extends Partial<LogEntry> {
  timestamp?: string;
}

export class RecordList {
  readonly max: number;
  readonly #byId = new Map<string, LogEntry>();
  /** Ids from the oldest to the newest; those before `#start` are gone. */
  #order: string[] = [];
  #start = 0;

  constructor(max: number) {
    this.max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Begins with what the server lists, newest first. */
  load(logs: readonly LogEntry[]): void {
    this.#byId.clear();
    this.#order = [];
    this.#start = 0;
    for (const entry of logs.slice(0, this.max).toReversed()) this.#add(entry);
  }

  get(id: string): LogEntry | undefined {
    return this.#byId.get(id);
  }

  put(entry: LogEntry): void {
    if (this.#byId.has(entry.logId)) this.#byId.set(entry.logId, entry);
  }

  /** Takes an event. True when the list changed; a record that is new is added. */
  apply({ event, data }: PipelineEvent): boolean {
    const payload = data as Payload;
    if (typeof payload?.logId !== "string") return false;
    const entry = this.#byId.get(payload.logId);
    if (event === "message-received") return this.#received(payload, entry);
    if (!entry) return false;
    const changed = after(event, entry, payload);
    if (changed) this.#byId.set(entry.logId, changed);
    return changed !== null;
  }

  /** The records that fit, newest first. */
  select(fits: (entry: LogEntry) => boolean): LogEntry[] {
    const found: LogEntry[] = [];
    for (let index = this.#order.length - 1; index >= this.#start; index -= 1) {
      const entry = this.#byId.get(this.#order[index] ?? "");
      if (entry && fits(entry)) found.push(entry);
    }
    return found;
  }

  #received(payload: Payload, known: LogEntry | undefined): boolean {
    const at = payload.timestamp ?? new Date().toISOString();
    if (known) {
      const status: RecordStatus = known.finishedAt === null ? "RECEIVED" : known.status;
      this.#byId.set(known.logId, { ...known, receivedAt: at, status });
      return true;
    }
    this.#add({
      logId: payload.logId ?? "",
      topic: payload.topic ?? "",
      partition: payload.partition ?? 0,
      offset: payload.offset ?? "",
      dataType: payload.dataType ?? "SINGLE_MESSAGE",
      rowCount: payload.rowCount ?? 1,
      status: "RECEIVED",
      error: null,
      consumerId: null,
      attempts: 0,
      receivedAt: at,
      startedAt: null,
      finishedAt: null,
      deadLetter: null,
    });
    return true;
  }

  #add(entry: LogEntry): void {
    this.#byId.set(entry.logId, entry);
    this.#order.push(entry.logId);
    while (this.#byId.size > this.max) {
      this.#byId.delete(this.#order[this.#start] ?? "");
      this.#start += 1;
    }
    // The places of those that are gone are given back now and then, not one by one.
    if (this.#start > this.max) {
      this.#order = this.#order.slice(this.#start);
      this.#start = 0;
    }
  }
}

function after(event: string, entry: LogEntry, payload: Payload): LogEntry | null {
  const at = payload.timestamp ?? null;
  switch (event) {
    case "processing-started":
      return { ...entry, status: "PROCESSING", startedAt: at, finishedAt: null, attempts: entry.attempts + 1 };
    case "processing-completed":
      return { ...entry, status: "PROCESSED", finishedAt: at, error: null, consumerId: payload.consumerId ?? null };
    case "processing-failed":
      return { ...entry, status: "FAILED", finishedAt: at, error: payload.error ?? "" };
    default:
      return null;
  }
}

export interface Filter {
  status: RecordStatus | "";
  text: string;
}

/** Whether a record fits a filter: every word must stand somewhere in it. */
export function fits(filter: Filter): (entry: LogEntry) => boolean {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return (entry) => {
    if (filter.status !== "" && entry.status !== filter.status) return false;
    if (words.length === 0) return true;
    const place = `${entry.topic} ${entry.topic}/${entry.partition}/${entry.offset}`;
    const text =
      `${place} ${entry.logId} ${entry.consumerId ?? ""} ${entry.error ?? ""} ${entry.dataType}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

/**
 * How long a record waited for its processing, and how long that took; null where it is not over or not
 * known.
 */
export function times(entry: LogEntry): { waitedMs: number | null; tookMs: number | null } {
  const between = (from: string | null, to: string | null) =>
    from === null || to === null ? null : Math.max(0, Date.parse(to) - Date.parse(from));
  return {
    waitedMs: between(entry.receivedAt, entry.startedAt),
    tookMs: between(entry.startedAt, entry.finishedAt),
  };
}
