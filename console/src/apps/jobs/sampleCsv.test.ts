import { expect, it } from "vitest";
import { sampleCsv } from "./sampleCsv";

it("the sample is a price file whose highs and lows enclose open and close", () => {
  const [head, ...rows] = sampleCsv(200, 7).trimEnd().split("\n");
  expect(head).toBe("time,symbol,open,high,low,close,volume");
  expect(rows).toHaveLength(200);
  for (const row of rows) {
    const [open = 0, high = 0, low = 0, close = 0] = row.split(",").slice(2, 6).map(Number);
    expect(high).toBeGreaterThanOrEqual(Math.max(open, close));
    expect(low).toBeLessThanOrEqual(Math.min(open, close));
  }
});

it("one seed always makes the same sample", () => {
  expect(sampleCsv(20, 5)).toBe(sampleCsv(20, 5));
  expect(sampleCsv(20, 5)).not.toBe(sampleCsv(20, 6));
});
