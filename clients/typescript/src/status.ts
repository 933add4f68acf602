/**
 * Status: what a badge shows.
 *
 * ```
 * idle ─ first channel ─► connecting ─► live ◄─► reconnecting ◄─► offline
 *   ▲                         └───────────┴────────────┴─► failed ─ reconnect() ─► connecting
 *   └─ last channel closed       any but closed ─ page frozen ─► paused ─ resumed ─► reconnecting
 *                                any ─ close() ─► closed
 * ```
 */
import type { AnywireError } from "./errors.js";
import type { TransportName } from "./policy.js";

export type State =
  /** No channel is followed. */
  | "idle"
  | "connecting"
  | "live"
  /** It was live; trying again, or waiting for `retryAt`. */
  | "reconnecting"
  /** As `reconnecting`, and the platform says that there is no network. */
  | "offline"
  /** The page is frozen. */
  | "paused"
  /** Given up; `error` says why. `reconnect()` begins anew. */
  | "failed"
  | "closed";

export interface Status {
  readonly state: State;
  /** What delivers, or is tried. */
  readonly transport: TransportName | null;
  /** When the last event was delivered, milliseconds since 1970. */
  readonly lastEventAt: number | null;
  /** The last round trip, milliseconds. */
  readonly latency: number | null;
  /** How often it became live again after it had been live. */
  readonly reconnects: number;
  readonly gaps: number;
  /** Failed attempts in a row. */
  readonly attempt: number;
  /** When the next attempt is made, milliseconds since 1970. */
  readonly retryAt: number | null;
  /** The last failure; null once it is live. */
  readonly error: AnywireError | null;
  /** With `anywire/shared`: whether this tab holds the connection for the others. Else null. */
  readonly role: "leader" | "follower" | null;
}

export const firstStatus: Status = {
  state: "idle",
  transport: null,
  lastEventAt: null,
  latency: null,
  reconnects: 0,
  gaps: 0,
  attempt: 0,
  retryAt: null,
  error: null,
  role: null,
};
