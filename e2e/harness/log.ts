/** The log as a test uses it: publish, and read everything. */

export interface Event {
  readonly channel: string;
  readonly event: string;
  readonly offset: number;
  readonly time: string;
  readonly data: unknown;
}

export interface Gap {
  readonly from: string;
  readonly to: string;
  readonly channels: readonly string[];
  readonly reason: "trimmed" | "epoch" | "ahead";
  readonly lost: Readonly<Record<string, number>>;
}

export interface Publication {
  readonly channel: string;
  readonly event?: string;
  readonly data?: unknown;
}

export interface Receipt {
  readonly cursor: string;
  readonly offsets: readonly number[];
  readonly duplicate?: boolean;
}

export interface Page {
  readonly cursor: string;
  readonly events: readonly Event[];
  readonly gap: Gap | null;
}

/** Appends a batch. Throws what the server answers if it does not take it. */
export async function publish(url: string, events: readonly Publication[], key?: string): Promise<Receipt> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (key !== undefined) headers["Idempotency-Key"] = key;
  const body = JSON.stringify({ events });
  const answer = await fetch(`${url}/anywire/publish`, { method: "POST", headers, body });
  if (answer.status !== 200) throw new Error(`publish answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Receipt;
}

/** One poll. A 204 is a page without events. */
export async function poll(url: string, channels: string, after: string, wait = 0): Promise<Page> {
  const query = new URLSearchParams({ channels, after, wait: String(wait) });
  const answer = await fetch(`${url}/anywire/poll?${query}`);
  const cursor = answer.headers.get("Anywire-Cursor") ?? after;
  if (answer.status === 204) return { cursor, events: [], gap: null };
  if (answer.status !== 200) throw new Error(`poll answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as Page;
}

/** Everything after a cursor, and the gaps on the way. */
export async function readAll(
  url: string,
  channels: string,
  after = "0",
): Promise<{ events: Event[]; gaps: Gap[]; cursor: string }> {
  const events: Event[] = [];
  const gaps: Gap[] = [];
  let cursor = after;
  for (;;) {
    const page = await poll(url, channels, cursor);
    events.push(...page.events);
    if (page.gap) gaps.push(page.gap);
    if (page.events.length === 0 && (page.cursor === cursor || !page.gap))
      return { events, gaps, cursor: page.cursor };
    cursor = page.cursor;
  }
}

export const offsetOf = (cursor: string): number => Number(cursor.slice(cursor.indexOf("-") + 1));
export const epochOf = (cursor: string): string => cursor.slice(0, cursor.indexOf("-"));
