/**
 * Polling, short and long (PROTOCOL.md section 6): the same request with another `wait`.
 *
 * {@link poll} is also the plain request that tells an outage from a blocked transport, and {@link seed}
 * brings readers that begin differently (tail, oldest kept, cursor of another epoch) to positions that one
 * request can carry.
 */

import { sleep } from "../alarm.js";
import { formatPosition, parseCursor } from "../cursor.js";
import { AnywireError } from "../errors.js";
import { fieldsOf } from "../http.js";
import type { LinkHost } from "../link.js";
import { isFields, list, readEvent, readGap } from "../protocol.js";
import { channelsOf, type Group, group, type Reader } from "../readers.js";
import { Transport, type TransportOwner } from "./transport.js";

export interface PollAnswer {
  readonly events: number;
  /** Where it leads, in this epoch. */
  readonly offset: number;
  /** The limit was reached: more is waiting. */
  readonly isFull: boolean;
}

/** Longer than the server holds a long-poll, so that only a dead connection runs into it. */
const LONG_POLL_MARGIN_MS = 10_000;
/** Where something in between answers a long-poll at once and with nothing, this keeps it from spinning. */
const EMPTY_PAUSE_MS = 250;

/** Asks once for a group of readers and delivers the answer to them. */
export async function poll(
  host: LinkHost,
  { kind, readers, after }: Group,
  waitSeconds: number,
  abort?: AbortController,
): Promise<PollAnswer> {
  const { environment } = host.http;
  const startedAt = environment.now();
  const request = {
    path: "poll",
    query: {
      channels: channelsOf(readers).join(","),
      after: formatPosition(after),
      wait: waitSeconds || undefined,
      client: host.isClientNamed ? host.client : undefined,
    },
    timeoutMs:
      host.policy.requestTimeoutMs + (waitSeconds > 0 ? waitSeconds * 1000 + LONG_POLL_MARGIN_MS : 0),
    abort,
  } as const;
  const [answer, body] = await host.http.request(
    request,
    async (head) => [head, await fieldsOf(head)] as const, // of a 204 it is empty
  );
  const cursor = parseCursor(body.cursor ?? answer.headers.get("Anywire-Cursor"));
  if (!cursor && answer.status !== 204) throw new AnywireError("bad_answer", "no cursor");
  if (waitSeconds === 0) host.report({ latency: environment.now() - startedAt });
  const gap = isFields(body.gap) ? readGap(body.gap) : null;
  if (gap) host.readers.gap(gap, readers);
  const events = list(body.events);
  for (const fields of events) {
    const event = isFields(fields) ? readEvent(fields) : null;
    if (event && cursor) host.readers.deliver(cursor.epoch, event, readers);
  }
  // Two transports may look for the tail at once. Only the first answer counts, or what came in between would
  // be lost.
  if (cursor && kind === "tail") host.readers.start(readers, cursor);
  else if (cursor) host.readers.raise(readers, cursor);
  return {
    events: events.length,
    offset: cursor?.offset ?? -1,
    isFull: events.length > 0 && (answer.headers.get("Cache-Control") ?? "").includes("immutable"),
  };
}

/** Gives every reader a cursor, unless one request can serve them as they are. */
export async function seed(
  host: LinkHost,
  readers: readonly Reader[],
  abort?: AbortController,
): Promise<void> {
  const groups = group(readers);
  if (groups.length === 1 && groups[0]?.kind !== "tail") return;
  // Each group is asked for alone: a reader must not be moved by an answer that began elsewhere.
  for (const one of groups) await poll(host, one, 0, abort);
}

/** The readers as one group; to be called after {@link seed}. */
export function single(readers: readonly Reader[]): Group {
  const [first, ...rest] = group(readers);
  if (!first || rest.length > 0) throw new AnywireError("unreachable", "epoch");
  return first;
}

export class PollTransport extends Transport {
  override readonly name: "long-poll" | "poll";
  /** Ends the request or the pause that is going on. */
  #abort = new AbortController();
  /** The request was ended by `update`, and the next one is to follow at once. */
  #isStale = false;

  constructor(owner: TransportOwner, host: LinkHost, name: "long-poll" | "poll") {
    super(owner, host);
    this.name = name;
  }

  override open(): void {
    void this.#run();
  }

  override update(): void {
    this.#isStale = true;
    this.#abort.abort();
  }

  override check(): void {
    this.update();
  }

  protected override teardown(): void {
    this.update();
  }

  async #run(): Promise<void> {
    while (!this.isOver) {
      this.#isStale = false;
      this.#abort = new AbortController();
      try {
        const pauseMs = await this.#turn(this.#abort);
        if (pauseMs > 0) await sleep(this.environment, pauseMs, this.#abort.signal);
      } catch (error) {
        if (!this.#isStale) this.failFor(error, "refused");
      }
    }
  }

  /** One request; how long to wait before the next. */
  async #turn(abort: AbortController): Promise<number> {
    const { host } = this;
    const { policy } = host;
    const readers = host.readers.all();
    await seed(host, readers, abort);
    if (this.isOver) return 0;
    // The first answer must not take long: it shows that this transport works, and catches up.
    const wait = this.isOpened && this.name === "long-poll" ? policy.longPollSeconds : 0;
    const answer = await poll(host, single(readers), wait, abort);
    this.touch();
    this.setOpened();
    this.advance(answer.offset);
    if (answer.isFull) return 0;
    if (this.name === "poll") return policy.pollIntervalMs * (0.9 + 0.2 * this.environment.random());
    return wait > 0 && answer.events === 0 ? EMPTY_PAUSE_MS : 0;
  }
}
