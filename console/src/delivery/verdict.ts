/** What the proof says of itself. Pure: which words and in which tone; the page has the words. */
import { ApiError } from "@/shared/api";
import type { ProofPhase } from "./proofStore";
import type { SequenceCounts } from "./sequence";
import type { Carrier } from "./timeline";

export type Tone = "calm" | "ok" | "warn" | "bad";

export interface Verdict {
  tone: Tone;
  /** A key among the words of `delivery`. */
  key: string;
  words?: Record<string, number | string>;
  /** Another sentence: what to do. */
  wayOut?: string;
}

export interface Proof {
  phase: ProofPhase;
  counts: SequenceCounts;
  /** Numbers not published yet; at the end, never. */
  queued: number;
  failure: string | null;
  refusal: Error | null;
  carrier: Carrier;
}

/** Numbers that wait for five seconds and more. */
const QUEUED_LONG = 25;
/** One or two are always on the way at five a second: that is not worth a word. */
const OPEN_FEW = 4;

export function verdictOf(proof: Proof): Verdict {
  const { missing, repeated, outOfOrder } = proof.counts;
  if (missing > 0 || repeated > 0 || outOfOrder > 0)
    return { tone: "bad", key: "verdictBad", words: { missing, repeated, outOfOrder } };
  if (proof.phase === "settled") return ended(proof);
  if (proof.phase === "idle" || proof.phase === "starting") return notBegun(proof);
  return underWay(proof);
}

function ended({ counts: { received: n }, queued, refusal }: Proof): Verdict {
  if (refusal) {
    const words = { n, queued, problem: refusal.message };
    return { tone: "bad", key: n > 0 ? "verdictEnded" : "verdictEndedEmpty", words, wayOut: wayOutOf(refusal) };
  }
  if (queued > 0) return { tone: "warn", key: "verdictGivenUp", words: { n, queued } };
  return { tone: "ok", key: "verdictDone", words: { n } };
}

function wayOutOf(refusal: Error): string {
  const rights = refusal instanceof ApiError && (refusal.status === 401 || refusal.status === 403);
  return rights ? "wayOutRights" : "wayOutOther";
}

function notBegun({ phase, failure }: Proof): Verdict {
  return phase === "starting" && failure !== null
    ? { tone: "warn", key: "verdictStarting" }
    : { tone: "calm", key: "verdictIdle" };
}

function underWay({ counts, queued, failure, carrier }: Proof): Verdict {
  // Without a network that is what the lab is for; with one it needs a reason.
  if (failure !== null && queued > QUEUED_LONG && carrier !== "down")
    return { tone: "warn", key: "verdictRefused", words: { n: queued, problem: failure } };
  const open = counts.onTheWay + queued;
  return open > OPEN_FEW
    ? { tone: "warn", key: "verdictWaiting", words: { n: open } }
    : { tone: "ok", key: "verdictGood" };
}
