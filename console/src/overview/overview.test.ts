import { describe, expect, it } from "vitest";
import type { Rows } from "@/apps/monitor/wire";
import type { OverviewSample } from "@/shared/wire";
import { isolated, relativeColumns, yRange } from "./chart";
import { isDeaf, isStale } from "./overviewStore";
import { pastRows } from "./past";
import { patienceMs, Series, WINDOW_MS } from "./series";

const PATIENCE = patienceMs("websocket");

const T0 = Date.parse("2026-01-23T10:00:00.000Z");

function sample(events: number | null): OverviewSample {
  return { events_per_second: events } as OverviewSample;
}

describe("a chart's data", () => {
  it("is one row a sample", () => {
    const series = new Series([(s) => s.events_per_second]);
    series.push(sample(1), T0, PATIENCE);
    series.push(sample(2), T0 + 1000, PATIENCE);
    expect(series.columns()).toEqual([
      [T0 / 1000, T0 / 1000 + 1],
      [1, 2],
    ]);
  });

  it("has a hole where no sample came, and never a zero", () => {
    const series = new Series([(s) => s.events_per_second]);
    series.push(sample(1), T0, PATIENCE);
    series.push(sample(2), T0 + PATIENCE + 10_000, PATIENCE);
    expect(series.columns()[1]).toEqual([1, null, 2]);
  });

  it("keeps a value that the server does not know as a hole", () => {
    const series = new Series([(s) => s.events_per_second]);
    series.push(sample(null), T0, PATIENCE);
    series.push(sample(Number.NaN), T0 + 1000, PATIENCE);
    expect(series.columns()[1]).toEqual([null, null]);
  });

  it("drops a sample that is not newer", () => {
    const series = new Series([(s) => s.events_per_second]);
    series.push(sample(1), T0, PATIENCE);
    series.push(sample(2), T0, PATIENCE);
    expect(series.length).toBe(1);
  });

  it("forgets what is older than the window", () => {
    const series = new Series([(s) => s.events_per_second]);
    for (let second = 0; second < 900; second += 1) series.push(sample(second), T0 + second * 1000, PATIENCE);
    expect(series.length).toBeLessThanOrEqual((WINDOW_MS + PATIENCE) / 1000 + 1);
    expect(series.columns()[1]?.at(-1)).toBe(899);
  });
});

describe("a chart's past", () => {
  const row = (second: number, value: number | null) => ({ time: T0 / 1000 + second, values: [value] });

  it("stands before what came, and in the holes of it", () => {
    const series = new Series([(s) => s.events_per_second]);
    series.push(sample(10), T0 + 10_000, PATIENCE);
    series.push(sample(20), T0 + 20_000, PATIENCE);
    const past = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20].map((second) => row(second, second));
    series.recall(past, PATIENCE);
    const [times, values] = series.columns();
    expect(times.map((time) => time - T0 / 1000)).toEqual([7, 8, 10, 12, 13, 14, 15, 16, 17, 18, 20]);
    expect(values).toEqual([7, 8, 10, 12, 13, 14, 15, 16, 17, 18, 20]);
  });

  it("leaves a hole where it does not know either", () => {
    const series = new Series([(s) => s.events_per_second]);
    series.push(sample(1), T0 + 100_000, PATIENCE);
    series.recall([row(0, 5), row(1, null), row(2, 6)], PATIENCE);
    expect(series.columns()[1]).toEqual([5, null, 6, null, 1]);
  });

  it("is read by the names of the figures, on our clock", () => {
    const answer = { fields: ["time", "events", "deliveries"], samples: [[T0, 3, null]] } as unknown as Rows;
    expect(pastRows(answer, ["deliveries", "events", "unheard_of"], 2000)).toEqual([
      { time: T0 / 1000 + 2, values: [null, 3, null] },
    ]);
  });
});

describe("a chart's axes", () => {
  it("count seconds back from now", () => {
    expect(
      relativeColumns(
        [
          [90, 100],
          [1, 2],
        ],
        110,
      ),
    ).toEqual([
      [-20, -10],
      [1, 2],
    ]);
  });

  it("never put the newest sample into the future", () => {
    expect(
      relativeColumns(
        [
          [90, 100],
          [1, 2],
        ],
        99.5,
      )[0],
    ).toEqual([-10, 0]);
  });

  it("show a value between two holes as a dot", () => {
    expect(isolated([1, null, 2, null, null, 3, 4, null, 5])).toEqual([0, 2, 8]);
    expect(isolated([null, null])).toEqual([]);
  });

  it("reach from zero to a round number above the highest value", () => {
    expect(yRange(3.2)).toEqual([0, 4]);
    expect(yRange(95)).toEqual([0, 200]);
    expect(yRange(0.02)[1]).toBeCloseTo(0.03);
    expect(yRange(null)).toEqual([0, 1]);
    expect(yRange(0)).toEqual([0, 1]);
  });
});

describe("a connection that lives and says nothing", () => {
  const seen = { state: "live" as const, sampleAt: T0, healthAt: T0 + 12_900, wokenAt: 0 };

  it("is woken when the server answers otherwise", () => {
    expect(isDeaf(seen, T0 + 13_000)).toBe(true);
  });

  it("is left alone while the server is away, while it reconnects, and right after it was woken", () => {
    expect(isDeaf({ ...seen, healthAt: T0 }, T0 + 13_000)).toBe(false);
    expect(isDeaf({ ...seen, state: "reconnecting" }, T0 + 13_000)).toBe(false);
    expect(isDeaf({ ...seen, wokenAt: T0 + 5000 }, T0 + 13_000)).toBe(false);
    expect(isDeaf(seen, T0 + 11_000)).toBe(false);
  });
});

it("a client that polls every five seconds has no holes between its polls", () => {
  const series = new Series([(s) => s.events_per_second]);
  for (let poll = 0; poll < 4; poll += 1) series.push(sample(1), T0 + poll * 5000, patienceMs("poll"));
  expect(series.columns()[1]).toEqual([1, 1, 1, 1]);
});

it("figures are stale some seconds after the last sample, and not before the first", () => {
  expect(isStale(null, T0, PATIENCE)).toBe(false);
  expect(isStale(T0, T0 + PATIENCE, PATIENCE)).toBe(false);
  expect(isStale(T0, T0 + PATIENCE + 1, PATIENCE)).toBe(true);
});
