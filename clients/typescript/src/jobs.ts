/**
 * Follows one job from its first step to its end: over SSE, with five tries after 1, 2, 4, 8 and 16 s; then
 * the user is told and the state is polled, while SSE is tried again every 30 s.
 *
 * Every event carries the state, but of many steps only the newest: those before are kept here, so a gap
 * costs nothing but the steps in between.
 */
import type { Job, Log, Status } from "./api.js";
import type { Channel } from "./channel.js";
import type { Connection, ConnectOptions } from "./connection.js";
import type { AnywireError } from "./errors.js";
import { connect } from "./index.js";
import { fiveTriesThenPoll } from "./policy.js";
import type { Status as ConnectionStatus } from "./status.js";

export type JobStatus = Status;

/** What every kind of job has; `result` is what came out of it. An event's place in the log is its cursor. */
export type JobState = Omit<Job, "cursor">;

/** Lines of a command's output. Where `n` jumps, lines were left out. */
export type LogLines = Pick<Log, "attempt" | "cut" | "lines">;

/** What a person should be told of the connection. */
export type Notice =
  /**
   * It broke and is tried again at `retryAt` (milliseconds since 1970): the attempt of that number, of
   * `tries`.
   */
  | {
      readonly kind: "reconnecting";
      readonly attempt: number;
      readonly tries: number;
      readonly retryAt: number | null;
    }
  /**
   * The stream does not work here: the state is asked for instead, and the stream is tried again every 30 s.
   */
  | { readonly kind: "polling" }
  /** The stream works again. */
  | { readonly kind: "live" }
  | { readonly kind: "failed"; readonly error: AnywireError | null };

export interface JobHandlers {
  /** Every change, as the contract names it. A job that is retried goes on after its end. */
  readonly onProgress?: (state: JobState) => void;
  readonly onCompleted?: (state: JobState) => void;
  readonly onFailed?: (state: JobState) => void;
  readonly onCancelled?: (state: JobState) => void;
  readonly onLog?: (lines: LogLines) => void;
  readonly onNotice?: (notice: Notice) => void;
  /** The server refuses the job's channel. */
  readonly onRefused?: (error: AnywireError) => void;
}

export interface FollowJobOptions extends ConnectOptions {
  /** Where to begin: the `cursor` of a state that is known. Default: at the job's oldest kept event. */
  readonly after?: string;
}

export interface FollowedJob {
  readonly connection: Connection;
  /** Give it as `after` to go on from here. */
  readonly cursor: string | null;
  /** Ends it, and the connection if it was opened for it. */
  close(): void;
}

const TRIES = fiveTriesThenPoll.triesBeforeFall ?? 0;

/** The connection the contract describes; its options win over the preset. */
export function connectForJobs(url: string, options: ConnectOptions = {}): Connection {
  return connect(url, { ...options, policy: { ...fiveTriesThenPoll, ...options.policy } });
}

/** Follows a job over a connection of yours, on whatever transport it has, or over one of its own. */
export function followJob(
  server: string | Connection,
  id: string,
  handlers: JobHandlers,
  { after = "0", ...options }: FollowJobOptions = {},
): FollowedJob {
  const isOwn = typeof server === "string";
  const connection = isOwn ? connectForJobs(server, options) : server;
  const stopNotices = notices(connection, handlers.onNotice);
  const channel: Channel<Record<string, unknown>> = connection.channel(`progress_${id}`, { after });
  let known: JobState | null = null;
  channel.on("progress_update", (data) => {
    known = withSteps(known, data as JobState);
    tell(known, handlers);
  });
  channel.on("log", (data) => handlers.onLog?.(data as LogLines));
  channel.onError((error) => handlers.onRefused?.(error));
  return {
    connection,
    get cursor() {
      return channel.cursor;
    },
    close: () => {
      stopNotices();
      channel.close();
      if (isOwn) connection.close();
    },
  };
}

/**
 * A state with the steps that are known of it from before: an update brings only the newest of many. Pure.
 */
export function withSteps<S extends Pick<JobState, "session_id" | "attempt" | "steps">>(
  known: S | null,
  next: S,
): S {
  const first = next.steps[0]?.index ?? 0;
  const isSameRun = known?.session_id === next.session_id && known.attempt === next.attempt;
  if (!known || !isSameRun || first <= 1) return next;
  const before = known.steps.filter((step) => step.index < first);
  return before.length === 0 ? next : { ...next, steps: [...before, ...next.steps] };
}

function tell(state: JobState, handlers: JobHandlers): void {
  if (state.status === "succeeded") handlers.onCompleted?.(state);
  else if (state.status === "failed") handlers.onFailed?.(state);
  else if (state.status === "cancelled") handlers.onCancelled?.(state);
  else handlers.onProgress?.(state);
}

function notices(connection: Connection, handler: ((notice: Notice) => void) | undefined): () => void {
  if (!handler) return () => {};
  let last: Notice = { kind: "live" };
  return connection.onStatus((status) => {
    const next = noticeOf(status);
    if (next === null || isSame(next, last)) return;
    last = next;
    handler(next);
  });
}

/** What a status means to a person; null where it means nothing new. Pure. */
export function noticeOf({ state, transport, attempt, retryAt, error }: ConnectionStatus): Notice | null {
  if (state === "failed") return { kind: "failed", error };
  if (state === "live")
    return { kind: transport === "poll" || transport === "long-poll" ? "polling" : "live" };
  const isTrying = state === "reconnecting" || state === "offline" || state === "connecting";
  return isTrying && attempt > 0 ? { kind: "reconnecting", attempt, tries: TRIES, retryAt } : null;
}

function isSame(one: Notice, other: Notice): boolean {
  if (one.kind === "reconnecting" && other.kind === "reconnecting") return one.attempt === other.attempt;
  return one.kind === other.kind;
}
