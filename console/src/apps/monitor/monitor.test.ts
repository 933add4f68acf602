import { describe, expect, it } from "vitest";
import { serverSkew } from "@/shared/clock";
import { AgeMeter } from "./costs";
import { figuresOf, figuresOfBrief } from "./figures";
import {
  BRIEF_STREAM,
  DEFAULT_MODE,
  holeAfterMs,
  keyOf,
  MODES,
  modeOf,
  pan,
  STREAM,
  staleAfterMs,
  zoom,
} from "./modes";
import { makeShown } from "./shown";
import { timeTicks } from "./ticks";
import { type Aligned, strips, Timeline, thin } from "./timeline";
import type { Rows, Sample } from "./wire";

const T0 = Date.parse("2026-01-23T10:00:00.000Z");
const cpu = (value: number) => new Map([["cpu", value]]);

function rows(stepMs: number, samples: (number | null)[][], fields = ["time", "cpu"]): Rows {
  const span = { from: "2026-01-23T10:00:00.000Z", to: "2026-01-23T11:00:00.000Z" };
  return { host: "h", cursor: "1f0c93ab-1", ...span, step_ms: stepMs, fields, samples };
}

function sample(change: Partial<Sample> = {}): Sample {
  return {
    time: "2026-01-23T10:00:00.000Z",
    interval_ms: 1000,
    cpu: { percent: 25, cores: [20, 30] },
    load: [0.5, 0.4, 0.3],
    memory: { total: 1000, used: 250, available: 750, swap_total: 0, swap_used: 0 },
    disks: [{ mount: "/", total: 100, used: 90, read_per_second: null, written_per_second: 5 }],
    network: null,
    process: { cpu_percent: 1, memory: 5e6, threads: null, open_files: null, uptime_s: 9 },
    uptime_s: 10,
    delivery: null,
    memory_per_connection: null,
    ...change,
  };
}

describe("figures of a sample", () => {
  it("leave out what is not known, and never say zero for it", () => {
    const figures = figuresOf(sample());
    expect(figures.get("memory")).toBe(25);
    expect(figures.get("disk:/")).toBe(90);
    expect(figures.get("core:1")).toBe(30);
    for (const name of ["swap", "received", "disk_read", "connections", "memory_per_connection"]) {
      expect(figures.has(name), name).toBe(false);
    }
  });

  it("are the same in the brief form, as far as that goes", () => {
    const figures = figuresOfBrief([231, 250, 900, 50, 1, 0, 31]);
    expect([...figures.entries()]).toEqual([
      ["cpu", 23.1],
      ["memory", 25],
      ["disk", 90],
      ["load1", 0.5],
      ["received", 1000],
      ["sent", 0],
      ["process_memory", 31e6],
    ]);
  });
});

describe("a timeline", () => {
  it("goes on live where the history of the server ends", () => {
    const timeline = new Timeline(60_000);
    timeline.load(
      rows(1000, [
        [T0, 1],
        [T0 + 1000, 2],
      ]),
      1000,
    );
    expect(timeline.push(T0 + 1000, cpu(9), 2500)).toBe(false);
    expect(timeline.push(T0 + 2000, cpu(3), 2500)).toBe(true);
    expect(timeline.columns(["cpu"], false)).toEqual([
      [T0 / 1000, T0 / 1000 + 1, T0 / 1000 + 2],
      [1, 2, 3],
      [null, null, null],
      [null, null, null],
    ]);
  });

  it("has a hole where samples are missing, and draws nothing across it", () => {
    const timeline = new Timeline(60_000);
    timeline.push(T0, cpu(1), 2500);
    timeline.push(T0 + 10_000, cpu(2), 2500);
    expect(timeline.columns(["cpu"], false)[1]).toEqual([1, null, 2]);
  });

  it("knows when something is missing before a sample, as coarse as its rows are", () => {
    const timeline = new Timeline(3_600_000);
    expect(timeline.isLate(T0, 2500)).toBe(false);
    timeline.push(T0, cpu(1), 2500);
    expect([timeline.isLate(T0 + 2500, 2500), timeline.isLate(T0 + 2501, 2500)]).toEqual([false, true]);
    timeline.load(rows(60_000, [[T0, 5, 1, 9]], ["time", "cpu", "cpu.min", "cpu.max"]), 1000);
    expect(timeline.isLate(T0 + 120_000, 2500)).toBe(false);
  });

  it("keeps holes and extremes of the server's rows", () => {
    const timeline = new Timeline(3_600_000);
    const samples = [
      [T0, 5, 1, 9],
      [T0 + 60_000, null, null, null],
      [T0 + 600_000, 4, 2, 8],
    ];
    timeline.load(rows(60_000, samples, ["time", "cpu", "cpu.min", "cpu.max"]), 1000);
    expect(timeline.columns(["cpu"], true).slice(1)).toEqual([
      [5, null, 4],
      [1, null, 2],
      [9, null, 8],
    ]);
  });

  it("joins live samples to the row of their step", () => {
    const timeline = new Timeline(3_600_000);
    timeline.load(rows(60_000, [[T0, 5, 1, 9]], ["time", "cpu", "cpu.min", "cpu.max"]), 1000);
    timeline.push(T0 + 60_000, cpu(10), 2500);
    timeline.push(T0 + 61_000, cpu(20), 2500);
    expect(timeline.columns(["cpu"], true).slice(1)).toEqual([
      [5, 15],
      [1, 10],
      [9, 20],
    ]);
  });

  it("forgets what is older than its span, some rows at a time", () => {
    const timeline = new Timeline(60_000);
    for (let second = 0; second < 400; second += 1) timeline.push(T0 + second * 1000, cpu(second), 2500);
    expect(timeline.length).toBeLessThan(130);
    expect(timeline.columns(["cpu"], false)[1]?.at(-1)).toBe(399);
  });

  it("gives a figure that it never saw as nothing known", () => {
    const timeline = new Timeline(60_000);
    timeline.push(T0, cpu(1), 2500);
    expect(timeline.columns(["swap"], false)[1]).toEqual([null]);
  });
});

describe("a day of seconds on a screen", () => {
  const day: Aligned = [
    Array.from({ length: 86_400 }, (_, second) => second),
    Array.from({ length: 86_400 }, (_, second) =>
      second === 40_000 ? 100 : second === 50_000 ? null : (second % 60) / 6,
    ),
  ];

  it("keeps the spike of one second and the hole of one second", () => {
    const [times, values] = thin(day, 1200);
    expect(times.length).toBeLessThan(5000);
    expect(values?.[times.indexOf(40_000)]).toBe(100);
    expect(values?.[times.indexOf(50_000)]).toBeNull();
    expect([...times]).toEqual([...times].sort((a, b) => a - b));
  });

  it("leaves few rows as they are", () => {
    const few: Aligned = [
      [1, 2],
      [3, null],
    ];
    expect(thin(few, 1200)).toBe(few);
  });
});

describe("ways of getting samples", () => {
  it("are remembered by their key, and five seconds of polling is the default", () => {
    for (const mode of MODES) expect(modeOf(keyOf(mode))).toEqual(mode);
    expect(modeOf("nonsense")).toEqual(DEFAULT_MODE);
    expect(keyOf(DEFAULT_MODE)).toBe("poll-5000");
  });

  it("say that a sample is stale within one interval of when the next was due", () => {
    expect(staleAfterMs(STREAM, 1000)).toBe(1000 + 1000);
    expect(staleAfterMs(STREAM, 250)).toBe(250 + 250);
    expect(staleAfterMs(DEFAULT_MODE, 1000)).toBe(5000 + 1500);
    expect(staleAfterMs(BRIEF_STREAM, 1000)).toBe(5000 + 1500);
    expect(holeAfterMs(DEFAULT_MODE, 1000)).toBe(12_500);
  });
});

describe("a view of the past", () => {
  it("moves back and forth and never beyond now", () => {
    expect(pan({ from: 100, to: 200 }, -0.5, 1000)).toEqual({ from: 50, to: 150 });
    expect(pan({ from: 850, to: 950 }, 1, 1000)).toEqual({ from: 900, to: 1000 });
  });

  it("grows and shrinks about its middle", () => {
    expect(zoom({ from: 0, to: 100_000 }, 0.5, 1e9)).toEqual({ from: 25_000, to: 75_000 });
    expect(zoom({ from: 0, to: 6000 }, 0.5, 1e9)).toEqual({ from: 500, to: 5500 });
  });
});

it("an axis names seconds, minutes or days, as its span needs", () => {
  const at = [new Date(2026, 0, 23, 10, 5, 30).getTime() / 1000];
  expect(timeTicks(at, 300, "en-GB")).toEqual(["10:05:30"]);
  expect(timeTicks(at, 3600, "en-GB")).toEqual(["10:05"]);
  expect(timeTicks(at, 30 * 86_400, "en-GB")).toEqual(["23/01"]);
  expect(timeTicks([new Date(2026, 0, 24).getTime() / 1000], 86_400, "en-GB")).toEqual(["24/01"]);
});

it("the age of data is the mean over the time it was shown", () => {
  const ages = new AgeMeter();
  expect(ages.mean).toBeNull();
  for (const age of [0, 1000, 2000]) ages.observe(age);
  expect(ages.mean).toBe(1000);
  ages.restart();
  expect(ages.mean).toBeNull();
});

it("a band is a strip from row to row on whole pixels, and nothing across a hole", () => {
  const x = (row: number) => row * 10.4;
  expect(strips([1, 2, null, 4], [5, 6, null, 8], x, 0, 1000)).toEqual([
    { left: 0, right: 10, low: 1, high: 5 },
    { left: 10, right: 11, low: 2, high: 6 },
    { left: 31, right: 32, low: 4, high: 8 },
  ]);
});

it("rows that share a pixel share a strip with the least and the greatest of all", () => {
  const found = strips([3, 1, 2], [4, 9, 5], (row) => row * 0.2, 0, 1000);
  expect(found).toEqual([{ left: 0, right: 1, low: 1, high: 9 }]);
});

describe("a clock that goes back", () => {
  const sampleAt = (second: number) => ({ time: new Date(T0 + second * 1000).toISOString() });

  function shownWith(onHole: () => void) {
    return makeShown({
      spanMs: () => 60_000,
      patienceMs: () => 2500,
      isServer: () => true,
      onArrival: () => {},
      onHole,
    });
  }

  it("is followed: what comes is shown, and history is read anew", () => {
    let holes = 0;
    const shown = shownWith(() => (holes += 1));
    const from = { source: "performance", status: "s" };
    for (const second of [3600, 3601, 1, 2]) shown.takeBrief(sampleAt(second).time, [second % 1000], from);
    expect(shown.state.figures.value.get("cpu")).toBeCloseTo(0.2);
    expect(holes).toBe(1);
    expect(serverSkew.ms).toBeCloseTo(Date.now() - (T0 + 2000), -4);
  });

  it("by less than an answer may be late changes nothing", () => {
    let holes = 0;
    const shown = shownWith(() => (holes += 1));
    const from = { source: "performance", status: "s" };
    for (const second of [10, 12, 11]) shown.takeBrief(sampleAt(second).time, [second * 10], from);
    expect(shown.state.figures.value.get("cpu")).toBeCloseTo(12);
    expect(holes).toBe(0);
  });
});
