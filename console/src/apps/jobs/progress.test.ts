import { describe, expect, it } from "vitest";
import type { JobState } from "@/shared/wire";
import { awaitsBytes, combinedPercent, ForwardOnly, isNewer, stepRows, withoutPlace } from "./progress";
import { REPORT_STEPS } from "./reportSteps";

const T0 = Date.parse("2026-01-23T10:00:00.000Z");
const at = (ms: number) => new Date(T0 + ms).toISOString();

function job(change: Partial<JobState> = {}): JobState {
  return {
    session_id: "s1",
    title: "prices.csv",
    kind: "report",
    attempt: 0,
    queue_position: null,
    status: "running",
    step: 1,
    total_steps: 9,
    step_name: "receive",
    percent: 0,
    message: null,
    metadata: { upload: { id: "u1", filename: "prices.csv", size_bytes: 1000, received_bytes: 200 } },
    steps: [{ index: 1, name: "receive", started_at: at(0), duration_ms: null }],
    result: null,
    error: null,
    created_at: at(0),
    updated_at: at(500),
    cursor: "1f0c93ab-10",
    ...change,
  };
}

describe("the bar", () => {
  it("gives half of itself to the bytes", () => {
    expect(combinedPercent(job(), { sent: 500, total: 1000 })).toBe(25);
    expect(combinedPercent(job(), { sent: 1000, total: 1000 })).toBe(50);
  });

  it("shows what this page has sent when the server has not said so yet", () => {
    expect(combinedPercent(job({ percent: 10 }), { sent: 600, total: 1000 })).toBe(30);
  });

  it("shows what the server has when another page sends", () => {
    expect(combinedPercent(job({ percent: 42 }), null)).toBe(42);
  });

  it("forgets the bytes once the steps have begun", () => {
    expect(combinedPercent(job({ step: 4, percent: 68 }), { sent: 10, total: 1000 })).toBe(68);
  });

  it("is full for a finished job and empty for an unknown one", () => {
    expect(combinedPercent(job({ status: "succeeded", percent: 99 }), null)).toBe(100);
    expect(combinedPercent(null, null)).toBe(0);
  });

  it("never leaves 0 to 100, whatever it is told", () => {
    expect(combinedPercent(job({ percent: 140 }), null)).toBe(100);
    expect(combinedPercent(job({ percent: Number.NaN }), null)).toBe(0);
    expect(combinedPercent(null, { sent: 2000, total: 1000 })).toBe(50);
    expect(combinedPercent(null, { sent: 0, total: 0 })).toBe(50);
  });

  it("does not run backwards when a chunk is sent again", () => {
    const forward = new ForwardOnly();
    expect([10, 30, 20, 31].map((percent) => forward.next(percent, "first"))).toEqual([10, 30, 30, 31]);
  });

  it("starts afresh when the job is run again", () => {
    const forward = new ForwardOnly();
    forward.next(68, "first");
    expect(forward.next(50, "second")).toBe(50);
  });
});

describe("the step list", () => {
  it("has all nine rows before the second step begins", () => {
    const rows = stepRows(job(), T0);
    expect(rows.map((row) => row.name)).toEqual([...REPORT_STEPS]);
    expect(rows.map((row) => row.state)).toEqual(["running", ...Array(8).fill("pending")]);
  });

  it("lets a running step's duration tick and keeps a finished one's", () => {
    const steps = [
      { index: 1, name: "receive", started_at: at(0), duration_ms: 800 },
      { index: 2, name: "checksum", started_at: at(800), duration_ms: null },
    ];
    const rows = stepRows(job({ step: 2, steps }), T0 + 2000);
    expect(rows[0]).toMatchObject({ state: "done", durationMs: 800 });
    expect(rows[1]).toMatchObject({ state: "running", durationMs: 1200 });
  });

  it("stops the clock of a step that failed", () => {
    const steps = [{ index: 1, name: "receive", started_at: at(0), duration_ms: null }];
    const rows = stepRows(job({ status: "failed", steps, updated_at: at(700) }), T0 + 60_000);
    expect(rows[0]).toMatchObject({ state: "failed", durationMs: 700 });
  });

  it("marks where a cancelled or interrupted job stopped", () => {
    expect(stepRows(job({ status: "cancelled" }), T0)[0]?.state).toBe("stopped");
    expect(stepRows(job({ status: "interrupted" }), T0)[0]?.state).toBe("stopped");
  });

  it("shows the later run of a step that was run twice", () => {
    const steps = [
      { index: 1, name: "receive", started_at: at(0), duration_ms: 10 },
      { index: 1, name: "receive", started_at: at(90), duration_ms: 33 },
    ];
    expect(stepRows(job({ step: 2, steps }), T0)[0]?.durationMs).toBe(33);
  });

  it("shows of thousands of steps those around the current one, and what was passed over as done", () => {
    const steps = [{ index: 7312, name: "link", started_at: at(0), duration_ms: null }];
    const rows = stepRows(job({ kind: "command", metadata: {}, step: 7312, total_steps: 12_000, steps }), T0);
    expect(rows).toHaveLength(100);
    expect(rows.find((row) => row.index === 7312)).toMatchObject({ name: "link", state: "running" });
    expect([rows.at(-1)?.index, rows.at(-1)?.state, rows[0]?.state]).toEqual([7322, "pending", "done"]);
  });

  it("has unnamed rows for the steps of a job that is not a report", () => {
    const rows = stepRows(job({ kind: "progress", metadata: {}, total_steps: 3 }), T0);
    expect(rows.map((row) => row.name)).toEqual(["receive", "", ""]);
  });
});

describe("states that travel by two ways", () => {
  it("an older state never replaces a newer one", () => {
    expect(isNewer(job({ cursor: "1f0c93ab-9" }), job())).toBe(false);
    expect(isNewer(job({ cursor: "1f0c93ab-11" }), job())).toBe(true);
  });

  it("another job or another log is always taken", () => {
    expect(isNewer(job({ session_id: "s2", cursor: "1f0c93ab-1" }), job())).toBe(true);
    expect(isNewer(job({ cursor: "00000000-1" }), job())).toBe(true);
    expect(isNewer(job(), null)).toBe(true);
  });
});

it("a job awaits bytes only while its upload lacks some", () => {
  expect(awaitsBytes(job())).toBe(true);
  expect(awaitsBytes(job({ status: "cancelled" }))).toBe(false);
  expect(awaitsBytes(job({ metadata: {} }))).toBe(false);
  const upload = { id: "u1", filename: "a.csv", size_bytes: 5, received_bytes: 5 };
  expect(awaitsBytes(job({ metadata: { upload } }))).toBe(false);
});

describe("an error", () => {
  it("says its place once", () => {
    const message = "line 3, column 2: the row has 1 field, the first row has 2";
    expect(withoutPlace({ step: "parse", message, line: 3, column: 2 })).toBe(
      "the row has 1 field, the first row has 2",
    );
    expect(withoutPlace({ step: "parse", message })).toBe(message);
    expect(withoutPlace(null)).toBe("");
  });
});
