import { describe, expect, it } from "vitest";
import { stripPieces, Timeline, totals } from "./timeline";

function made(): Timeline {
  const timeline = new Timeline();
  timeline.change("websocket", 1000);
  timeline.countEvent();
  timeline.countEvent();
  timeline.change("down", 4000);
  timeline.change("sse", 5000);
  timeline.countEvent();
  return timeline;
}

describe("the timeline", () => {
  it("is made of stretches that touch each other, the last one open", () => {
    expect(made().stretches).toEqual([
      { carrier: "websocket", from: 1000, to: 4000, events: 2 },
      { carrier: "down", from: 4000, to: 5000, events: 0 },
      { carrier: "sse", from: 5000, to: null, events: 1 },
    ]);
  });

  it("begins no new stretch when nothing changes", () => {
    const timeline = made();
    timeline.change("sse", 9000);
    expect(timeline.stretches).toHaveLength(3);
  });

  it("never lets a stretch end before it began, even if the clock is set back", () => {
    const timeline = made();
    timeline.change("poll", 100);
    expect(timeline.stretches.at(-2)).toMatchObject({ from: 5000, to: 5000 });
    expect(timeline.stretches.at(-1)).toMatchObject({ from: 5000 });
  });

  it("fills the strip from where it began to now", () => {
    const pieces = stripPieces(made().stretches, 11_000, 10_000);
    expect(pieces.map(({ carrier, left, width }) => [carrier, left, width])).toEqual([
      ["websocket", 0, 0.3],
      ["down", 0.3, 0.1],
      ["sse", 0.4, 0.6],
    ]);
  });

  it("cuts what lies before the strip", () => {
    const pieces = stripPieces(made().stretches, 14_500, 10_000);
    expect(pieces.map((piece) => piece.carrier)).toEqual(["down", "sse"]);
    expect(pieces[0]?.left).toBe(0);
  });

  it("sums time and events of each carrier", () => {
    const timeline = made();
    timeline.change("websocket", 6000);
    timeline.countEvent();
    expect(totals(timeline.stretches, 8000).get("websocket")).toEqual({ ms: 5000, events: 3 });
  });
});
