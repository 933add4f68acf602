/**
 * Ladder: when to leave a transport, and where to go. Pure; `LadderLink` acts on it.
 *
 * ```
 * rung r ── opened, lived long ──────────────────────────► rung r   strikes and attempts forgotten
 *   │
 *   ├─ failed, and a plain request fails too ────────────► rung r   outage: back off; third in a row: rung 0
 *   ├─ failed right after an outage, plain request works ► rung r   at once: the server may be back by now
 *   ├─ failed, plain request works, strikes < 4 ─────────► rung r   back off
 *   ├─ failed, plain request works, strikes ≥ 4 ─────────► rung r+1 at once (on the last rung: back off)
 *   └─ probe of rung q < r delivers ─────────────────────► rung q   one early failure ends it again
 * ```
 *
 * With `triesBeforeFall` the middle part is: after that many failed reconnects, whatever the reason, rung
 * r+1.
 */
import { type Policy, step } from "./policy.js";

/**
 * How a transport failed.
 *
 * - `refused`: it could not be opened.
 * - `early`: closed before anything arrived.
 * - `silent`: open, and nothing arrives.
 * - `lost`: it had delivered.
 * - `goodbye`: an orderly end.
 * - `blocked`: the server says so.
 * - `busy`: come later.
 */
export type FailureKind = "refused" | "early" | "silent" | "lost" | "goodbye" | "blocked" | "busy";

export interface Ladder {
  /** Index into `policy.transports`. */
  readonly rung: number;
  /** Evidence against this rung. */
  readonly strikes: number;
  /** Failed attempts in a row. */
  readonly attempts: number;
  /** Of these, in a row, how many found no server at all. */
  readonly outages: number;
  /** The server has answered since it last failed, so a failure now is the transport's own. */
  readonly trusted: boolean;
  /** Probes since a better transport last worked. */
  readonly probes: number;
}

export interface Verdict {
  readonly ladder: Ladder;
  /** Open again at once, or after the back-off. */
  readonly now: boolean;
}

const STRIKES_MAX = 4;
/** "Closed early" has to happen twice; a connection that worked and broke soon, four times. */
const WEIGHT: Record<FailureKind, number> = {
  refused: 4,
  early: 2,
  silent: 4,
  lost: 1,
  goodbye: 0,
  blocked: 4,
  busy: 0,
};
const OUTAGES_BEFORE_RESET = 3;
/** A rung that held this long after a climb has earned a fresh probe schedule. */
const STEADY_MS = 60_000;

export const bottom = (policy: Policy): number => policy.transports.length - 1;

export function firstLadder(): Ladder {
  return { ...standing(0, 0, 0), trusted: false };
}

/** The transport delivers. */
export function opened(ladder: Ladder): Ladder {
  return { ...ladder, trusted: true, outages: 0 };
}

/** Takes into account how long the transport lived before it failed; to be called before {@link failed}. */
export function lived(ladder: Ladder, policy: Policy, livedMs: number): Ladder {
  if (livedMs < policy.earlyMs) return ladder;
  const probes = livedMs < STEADY_MS ? ladder.probes : 0;
  return { ...ladder, strikes: 0, attempts: 0, trusted: false, probes };
}

/** Whether only a plain request can tell what a failure means. */
export function needsProof(ladder: Ladder, policy: Policy, kind: FailureKind, livedMs: number): boolean {
  if (policy.triesBeforeFall !== null || ladder.rung === bottom(policy)) return false;
  return (
    kind === "refused" ||
    kind === "early" ||
    kind === "silent" ||
    (kind === "lost" && livedMs < policy.earlyMs)
  );
}

/** `reachable`: a plain request succeeded after the failure; null if none was made. */
export function failed(
  ladder: Ladder,
  policy: Policy,
  kind: FailureKind,
  reachable: boolean | null,
): Verdict {
  const attempts = ladder.attempts + 1;
  const isLast = ladder.rung === bottom(policy);
  if (policy.triesBeforeFall !== null) {
    const falls = !isLast && attempts > policy.triesBeforeFall;
    return falls ? { ladder: fall(ladder), now: true } : { ladder: { ...ladder, attempts }, now: false };
  }
  if (reachable === false) return { ladder: outage({ ...ladder, attempts }), now: false };
  const strikes = ladder.strikes + WEIGHT[kind];
  if (reachable && !ladder.trusted && (kind === "refused" || kind === "early")) {
    return { ladder: { ...ladder, attempts, outages: 0, trusted: true }, now: true };
  }
  if (strikes >= STRIKES_MAX && !isLast) return { ladder: fall(ladder), now: true };
  return { ladder: { ...ladder, attempts, strikes }, now: false };
}

/** A better transport delivers. One strike is left: if it breaks early, the way back down is short. */
export function climbed({ probes }: Ladder, rung: number): Ladder {
  return standing(rung, STRIKES_MAX - 1, probes + 1);
}

/** No better transport delivered. */
export function probed(ladder: Ladder): Ladder {
  return { ...ladder, probes: ladder.probes + 1 };
}

/** The network has changed: what was learnt about it is stale, so better transports are tried soon again. */
export function refreshed(ladder: Ladder): Ladder {
  return { ...ladder, attempts: 0, probes: 0, trusted: false };
}

export function backoffMs(ladder: Ladder, policy: Policy): number {
  return step(policy.backoffMs, Math.max(0, ladder.attempts - 1));
}

/** How long to wait before the better transports are tried; null on the best one. */
export function probeMs(ladder: Ladder, policy: Policy): number | null {
  return ladder.rung === 0 ? null : step(policy.probeMs, ladder.probes);
}

function fall({ rung, probes }: Ladder): Ladder {
  return standing(rung + 1, 0, probes);
}

/** On a new rung, with a server that has just answered. */
function standing(rung: number, strikes: number, probes: number): Ladder {
  return { rung, strikes, attempts: 0, outages: 0, trusted: true, probes };
}

function outage(ladder: Ladder): Ladder {
  const outages = ladder.outages + 1;
  const isStale = outages >= OUTAGES_BEFORE_RESET;
  return {
    ...ladder,
    outages,
    trusted: false,
    rung: isStale ? 0 : ladder.rung,
    strikes: isStale ? 0 : ladder.strikes,
    probes: 0,
  };
}
