/** The log as PROTOCOL.md sections 2 to 4 describe it, in memory. */

export interface Stored {
  readonly channel: string;
  readonly event: string;
  readonly offset: number;
  readonly time: string;
  readonly data: unknown;
  readonly encoding?: "base64";
}

export interface FakeGap {
  from: string;
  to: string;
  channels: string[];
  reason: string;
  lost: Record<string, number>;
}

export interface Reading {
  readonly gap: FakeGap | null;
  readonly events: Stored[];
  /** Delivery starts behind this offset. */
  readonly start: number;
}

export class FakeLog {
  epoch = "1f0c93ab";
  events: Stored[] = [];
  tail = 0;
  readonly trimmed = new Map<string, number>();
  readonly keys = new Map<string, number[]>();

  append(
    publications: { channel: string; event?: string; data?: unknown; encoding?: "base64" }[],
    now: number,
  ): number[] {
    return publications.map(({ channel, event = "message", data = null, encoding }) => {
      this.tail += 1;
      const time = new Date(now).toISOString();
      this.events.push({ channel, event, offset: this.tail, time, ...(encoding ? { encoding } : {}), data });
      return this.tail;
    });
  }

  cursor(offset = this.tail): string {
    return `${this.epoch}-${offset}`;
  }

  /** Retention removes what a channel has up to here. */
  trim(channel: string, through: number): void {
    const gone = this.events.filter((event) => event.channel === channel && event.offset <= through);
    if (gone.length === 0) return;
    this.trimmed.set(channel, Math.max(...gone.map((event) => event.offset)));
    this.events = this.events.filter((event) => !gone.includes(event));
  }

  /** The history is lost; offsets begin anew. */
  replace(epoch: string): void {
    this.epoch = epoch;
    this.events = [];
    this.tail = 0;
    this.trimmed.clear();
    this.keys.clear();
  }

  /** Null: the text is no cursor. */
  read(channels: string[], after: string | null): Reading | null {
    if (after === null) return { gap: null, events: [], start: this.tail };
    const here = (from: number) =>
      this.events.filter((event) => channels.includes(event.channel) && event.offset > from);
    if (after === "0") return { gap: null, events: here(0), start: 0 };
    const match = /^([0-9a-f]{8})-(\d+)$/.exec(after);
    if (!match) return null;
    const offset = Number(match[2]);
    if (match[1] !== this.epoch || offset > this.tail) {
      const oldest = Math.min(this.tail, ...here(0).map((event) => event.offset - 1));
      const reason = match[1] === this.epoch ? "ahead" : "epoch";
      const lost = Object.fromEntries(channels.map((channel) => [channel, this.trimmed.get(channel) ?? 0]));
      const gap = { from: after, to: this.cursor(oldest), channels, reason, lost };
      return { gap, events: here(oldest), start: oldest };
    }
    const holes = channels.filter((channel) => (this.trimmed.get(channel) ?? 0) > offset);
    if (holes.length === 0) return { gap: null, events: here(offset), start: offset };
    const lost = Object.fromEntries(holes.map((channel) => [channel, this.trimmed.get(channel) ?? 0]));
    const to = this.cursor(Math.max(...Object.values(lost)));
    return {
      gap: { from: after, to, channels: holes, reason: "trimmed", lost },
      events: here(offset),
      start: offset,
    };
  }
}
