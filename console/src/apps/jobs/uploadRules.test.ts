import { describe, expect, it } from "vitest";
import { mayPass, nextPhase, refusal, type UploadEvent, type UploadPhase } from "./uploadRules";

function walk(...events: UploadEvent["kind"][]): UploadPhase {
  return events.reduce<UploadPhase>((phase, kind) => nextPhase(phase, { kind }), "sending");
}

describe("an upload", () => {
  it("waits when the network goes and sends again when it is back", () => {
    expect(walk("interrupted")).toBe("waiting");
    expect(walk("interrupted", "moved")).toBe("sending");
    expect(walk("interrupted", "interrupted", "resumed")).toBe("sending");
  });

  it("ends as done, whatever a late answer says", () => {
    expect(walk("finished", "interrupted")).toBe("done");
    expect(walk("finished", "refused")).toBe("done");
  });

  it("that a person stopped stays stopped", () => {
    expect(walk("stopped", "moved")).toBe("stopped");
    expect(walk("interrupted", "stopped", "resumed")).toBe("stopped");
  });

  it("that was refused goes on only when a person says so", () => {
    expect(walk("refused", "moved")).toBe("failed");
    expect(walk("refused", "resumed")).toBe("sending");
  });
});

describe("trying again", () => {
  it("makes sense without an answer, when the server is busy, and when two chunks met", () => {
    for (const status of [0, 408, 409, 423, 429, 500, 502, 503, 507])
      expect(mayPass(status), String(status)).toBe(true);
  });

  it("makes no sense when the request itself is wrong", () => {
    for (const status of [400, 401, 403, 404, 410, 413, 415, 460]) expect(mayPass(status), String(status)).toBe(false);
  });
});

it("an empty file and a picture are refused before a byte is sent", () => {
  expect(refusal({ name: "prices.csv", size: 10 })).toBeNull();
  expect(refusal({ name: "PRICES.TSV", size: 10 })).toBeNull();
  expect(refusal({ name: "prices.csv", size: 0 })).toBe("empty");
  expect(refusal({ name: "photo.png", size: 10 })).toBe("kind");
});
