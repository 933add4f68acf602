import { describe, expect, it } from "vitest";
import { ApiError } from "@/shared/api";
import { SequenceCounter } from "./sequence";
import { type Proof, verdictOf } from "./verdict";

const counts = new SequenceCounter().counts;

function check(part: Partial<Proof>, tone: string, key: string, wayOut?: string): void {
  const proof: Proof = { phase: "running", counts, queued: 0, failure: null, refusal: null, carrier: "sse", ...part };
  const { words: _words, ...verdict } = verdictOf(proof);
  expect(verdict).toEqual(wayOut ? { tone, key, wayOut } : { tone, key });
}

const received = (n: number) => ({ ...counts, published: n, received: n, highest: n });
const refused = (status: number) => new ApiError("forbidden", status, "no");

describe("the verdict", () => {
  it("calls for a start until there is something to judge", () => {
    check({ phase: "idle" }, "calm", "verdictIdle");
    check({ phase: "starting" }, "calm", "verdictIdle");
    check({ phase: "starting", failure: "no network" }, "warn", "verdictStarting");
  });

  it("is good while little is under way, and says what waits else", () => {
    check({ queued: 2 }, "ok", "verdictGood");
    check({ queued: 20 }, "warn", "verdictWaiting");
    check({ queued: 30, failure: "no network", carrier: "down" }, "warn", "verdictWaiting");
    check({ queued: 30, failure: "refused" }, "warn", "verdictRefused");
  });

  it("ends with a reason and a way out where the server refuses for good", () => {
    check({ phase: "settled", queued: 9, refusal: refused(403) }, "bad", "verdictEndedEmpty", "wayOutRights");
    check(
      { phase: "settled", queued: 9, counts: received(5), refusal: refused(413) },
      "bad",
      "verdictEnded",
      "wayOutOther",
    );
  });

  it("tells what was given up from what arrived", () => {
    check({ phase: "settled", queued: 9, counts: received(5) }, "warn", "verdictGivenUp");
    check({ phase: "settled", counts: received(5) }, "ok", "verdictDone");
  });

  it("is bad as soon as one is missing, repeated or late", () => {
    check({ counts: { ...counts, missing: 1 } }, "bad", "verdictBad");
    check({ phase: "settled", counts: { ...counts, repeated: 1 } }, "bad", "verdictBad");
  });
});
