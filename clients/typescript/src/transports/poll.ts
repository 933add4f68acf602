/**
 * Polling, short and long (PROTOCOL.md section 6): the same request with another `wait`.
 *
 * {@link poll} is also the plain request that tells an outage from a blocked transport, and {@link seed} brings readers that
 * begin differently (tail, oldest kept, cursor of another epoch) to positions that one request can carry.
 */
import { formatPosition, parseCursor } from "../cursor.js";
import { AnywireError } from "../errors.js";
import { jittered } from "../policy.js";
import { isFields, list, parseFields, readEvent, readGap } from "../protocol.js";
import { channelsOf, type Group, group, type Reader } from "../readers.js";
import { Transport, type TransportHost } from "./transport.js";

export interface PollAnswer {
  readonly events: number;
  /** Where it leads, in this epoch. */
  readonly offset: number;
  /** The limit was reached: more is waiting. */
  readonly isFull: boolean;
}

/** Longer than the server holds a long-poll, so that only a dead connection runs into it. */
const LONG_POLL_MARGIN_MS = 10_000;
/** An empty answer to a long-poll should take its time; where something in between answers at once, don't spin. */
const EMPTY_PAUSE_MS = 1000;

/** Asks once for a group of readers and delivers the answer to them. */
export async function poll(
  host: TransportHost,
  { kind, readers, after }: Group,
  waitSeconds: number,
  signal?: AbortSignal,
): Promise<PollAnswer> {
  const { environment } = host.http;
  const startedAt = environment.now();
  const answer = await host.http.request({
    path: "poll",
    query: {
      channels: channelsOf(readers).join(","),
      after: formatPosition(after),
      wait: waitSeconds || undefined,
      client: host.isClientNamed ? host.client : undefined,
    },
    timeoutMs:
      host.policy.requestTimeoutMs + (waitSeconds > 0 ? waitSeconds * 1000 + LONG_POLL_MARGIN_MS : 0),
    signal,
  });
  const body = answer.status === 204 ? {} : parseFields(await answer.text());
  const cursor = parseCursor(body.cursor ?? answer.headers.get("Anywire-Cursor"));
  if (!cursor && answer.status !== 204)
    throw new AnywireError("bad_answer", "poll: the answer has no cursor");
  // Over the time limit the body may come in after a transport that was closed: what it says is true all the same.
  if (waitSeconds === 0) host.measured(environment.now() - startedAt);
  const gap = isFields(body.gap) ? readGap(body.gap) : null;
  if (gap) host.readers.gap(gap, readers);
  const events = list(body.events);
  for (const fields of events) {
    const event = isFields(fields) ? readEvent(fields) : null;
    if (event && cursor) host.readers.deliver(cursor.epoch, event, readers);
  }
  // Two transports may look for the tail at once. Only the first answer counts, or what came in between would be lost.
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
  host: TransportHost,
  readers: readonly Reader[],
  signal?: AbortSignal,
): Promise<void> {
  const groups = group(readers);
  if (groups.length === 1 && groups[0]?.kind !== "tail") return;
  // Each group is asked for alone: a reader must not be moved by an answer that began elsewhere.
  for (const one of groups) await poll(host, one, 0, signal);
}

/** The readers as one group; to be called after {@link seed}. */
export function single(readers: readonly Reader[]): Group {
  const [first, ...rest] = group(readers);
  if (!first || rest.length > 0) throw new AnywireError("unreachable", "the log changed its epoch meanwhile");
  return first;
}

export class PollTransport extends Transport {
  override readonly name: "long-poll" | "poll";
  /** Ends the request or the pause that is going on. */
  #abort = new AbortController();
  #wake: () => void = () => {};
  /** The request was ended by `update`, and the next one is to follow at once. */
  #isStale = false;

  constructor(host: TransportHost, name: "long-poll" | "poll") {
    super(host);
    this.name = name;
  }

  override open(): void {
    void this.#run();
  }

  override update(): void {
    this.#isStale = true;
    this.#abort.abort();
    this.#wake();
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
        const pauseMs = await this.#turn(this.#abort.signal);
        if (pauseMs > 0 && !this.#isStale) await this.#sleep(pauseMs);
      } catch (error) {
        if (!this.#isStale) this.failFor(error, "refused");
      }
    }
  }

  /** One request; how long to wait before the next. */
  async #turn(signal: AbortSignal): Promise<number> {
    const { host } = this;
    const { policy } = host;
    const readers = host.readers.all();
    await seed(host, readers, signal);
    if (this.isOver) return 0;
    const startedAt = host.http.environment.now();
    // The first answer must not take long: it shows that this transport works, and catches up.
    const wait = this.isOpened && this.name === "long-poll" ? policy.longPollSeconds : 0;
    const answer = await poll(host, single(readers), wait, signal);
    this.touch();
    this.progress = Math.max(this.progress, answer.offset);
    this.setOpened();
    if (!this.isOver) host.advanced(this);
    if (answer.isFull) return 0;
    if (this.name === "poll")
      return jittered({ ...policy, jitter: policy.jitter / 5 }, host.http.environment, policy.pollIntervalMs);
    const tookMs = host.http.environment.now() - startedAt;
    return wait > 0 && answer.events === 0 && tookMs < EMPTY_PAUSE_MS ? EMPTY_PAUSE_MS : 0;
  }

  #sleep(pauseMs: number): Promise<void> {
    const { environment } = this.host.http;
    return new Promise((resolve) => {
      const timer = environment.setTimeout(resolve, pauseMs);
      this.#wake = () => {
        environment.clearTimeout(timer);
        resolve();
      };
    });
  }
}
