/**
 * Policy: which transports, in which order, and how patient. One plain object decides all of it; a preset is
 * such an object. Pure.
 */
import type { Environment } from "./environment.js";

export type TransportName = "websocket" | "sse" | "long-poll" | "poll";

export interface Policy {
  /** The ladder, best first. Default: `["websocket", "sse", "long-poll", "poll"]`. */
  readonly transports: readonly TransportName[];
  /** Pauses between attempts; the last one repeats. Default 1, 2, 4, 8, 16, 30 s. */
  readonly backoffMs: readonly number[];
  /** The share of a pause that is random: 0.5 makes it 50 to 100 %. Default 0.5. */
  readonly jitter: number;
  /** Failed attempts in a row after which the state is `failed`. Default `Infinity`. */
  readonly maxAttempts: number;
  /**
   * null (default): leave a transport on evidence against it, that is when it fails while a plain request
   * succeeds. A number: leave it after that many failed reconnects, whatever the reason.
   */
  readonly triesBeforeFall: number | null;
  /** Pauses between probes of better transports; the last one repeats. Default 10, 20, 40, 60 s. */
  readonly probeMs: readonly number[];
  /** A transport that delivered nothing this long after it was opened is silent. Default 6 s. */
  readonly openTimeoutMs: number;
  /** A transport that lives shorter than this counts as closed early. Default 5 s. */
  readonly earlyMs: number;
  /**
   * The server's heartbeat, until it says so itself. Twice that long without a byte is dead. Default 25 s.
   */
  readonly heartbeatMs: number;
  /** Pause between two polls on the lowest rung. Default 5 s. */
  readonly pollIntervalMs: number;
  /** How long the server may hold a long-poll. Whole seconds, 1 to 60. Default 25. */
  readonly longPollSeconds: number;
  /** A plain request takes at most this long. Default 10 s. */
  readonly requestTimeoutMs: number;
  /**
   * The old transport is closed this long after the new one opened, even if that has not caught up.
   * Default 5 s.
   */
  readonly overlapMs: number;
}

export const defaultPolicy: Policy = {
  transports: ["websocket", "sse", "long-poll", "poll"],
  backoffMs: [1000, 2000, 4000, 8000, 16000, 30000],
  jitter: 0.5,
  maxAttempts: Number.POSITIVE_INFINITY,
  triesBeforeFall: null,
  probeMs: [10000, 20000, 40000, 60000],
  openTimeoutMs: 6000,
  earlyMs: 5000,
  heartbeatMs: 25000,
  pollIntervalMs: 5000,
  longPollSeconds: 25,
  requestTimeoutMs: 10000,
  overlapMs: 5000,
};

/** SSE with five reconnects after 1, 2, 4, 8 and 16 s, then polling while SSE is tried again every 30 s. */
export const fiveTriesThenPoll: Partial<Policy> = {
  transports: ["sse", "poll"],
  jitter: 0,
  triesBeforeFall: 5,
  probeMs: [30000],
};

/** The entry for this attempt (counted from 0); beyond the end the last one repeats. */
export function step(schedule: readonly number[], attempt: number): number {
  return schedule[Math.min(attempt, schedule.length - 1)] ?? 0;
}

/** Shortens a pause by chance, so that clients that lost the same server don't come back as one herd. */
export function jittered(policy: Policy, environment: Environment, pauseMs: number): number {
  return Math.round(pauseMs * (1 - policy.jitter * environment.random()));
}
