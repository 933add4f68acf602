import { describe, expect, it } from "vitest";
import {
  formatAge,
  formatAgo,
  formatBytes,
  formatClock,
  formatCount,
  formatDuration,
  formatLatency,
  formatRate,
  formatTick,
  MISSING,
} from "./format";

describe("text for figures", () => {
  it("has three significant digits for sizes", () => {
    expect([0, 999, 1000, 52_428_800, 1_500_000_000].map((bytes) => formatBytes(bytes, "en"))).toEqual([
      "0 B",
      "999 B",
      "1.00 kB",
      "52.4 MB",
      "1.50 GB",
    ]);
  });

  it("follows the language's separators", () => {
    expect(formatBytes(52_428_800, "vi")).toBe("52,4 MB");
    expect(formatCount(20_000, "vi")).toBe("20.000");
    expect(formatCount(20_000, "en")).toBe("20,000");
  });

  it("is a dash and never a zero when the value is missing", () => {
    expect([
      formatBytes(null, "en"),
      formatCount(undefined, "en"),
      formatRate(null, "en"),
      formatLatency(null, "en"),
    ]).toEqual(Array(4).fill(MISSING));
    expect([formatDuration(null, "en"), formatAge(null), formatClock("x", "en"), formatAgo(null, 0, "en")]).toEqual(
      Array(4).fill(MISSING),
    );
  });

  it("shows rates with one digit while they are small", () => {
    expect([0, 4.04, 99.96, 1234.5].map((rate) => formatRate(rate, "en"))).toEqual(["0.0", "4.0", "100.0", "1,235"]);
  });

  it("shows latencies from microseconds to seconds", () => {
    expect([0.412, 12.34, 340, 1250].map((ms) => formatLatency(ms, "en"))).toEqual([
      "0.41 ms",
      "12.3 ms",
      "340 ms",
      "1.25 s",
    ]);
  });

  it("shows durations in the two largest units", () => {
    const shown = [0, 340, 4210, 59_940, 59_960, 185_000, 7_620_000, 273_600_000].map((ms) => formatDuration(ms, "en"));
    expect(shown).toEqual(["0 ms", "340 ms", "4.2 s", "59.9 s", "1 m 00 s", "3 m 05 s", "2 h 07 m", "3 d 04 h"]);
  });

  it("shows ages in whole units, and a clock set back as none", () => {
    expect([-50, 999, 59_999, 60_000, 7_200_000].map((ms) => formatAge(ms))).toEqual([
      "0 s",
      "0 s",
      "59 s",
      "1 m",
      "2 h",
    ]);
  });

  it("says how long ago in words of the language", () => {
    const now = Date.parse("2026-01-23T10:00:00.000Z");
    expect(formatAgo(now - 180_000, now, "en")).toBe("3 minutes ago");
    expect(formatAgo(now - 180_000, now, "vi")).toBe("3 phút trước");
    expect(formatAgo(now + 400, now, "en")).toBe("now");
  });

  it("writes an axis as the language does", () => {
    expect([formatTick(0.4, "en"), formatTick(0.4, "vi"), formatTick(12_000, "vi")]).toEqual(["0.4", "0,4", "12.000"]);
  });
});
