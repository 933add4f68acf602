import { expect, test } from "vitest";
import type { LogLine } from "@/shared/wire";
import { firstHole, LINES_MAX, logRows, mergeLines } from "./jobLog";

const lines = (...numbers: number[]): LogLine[] =>
  numbers.map((n) => ({ n, at: "2025-01-23T10:00:03.000Z", stream: "out", text: `line ${n}` }));
const numbers = (list: readonly LogLine[]) => list.map((line) => line.n);

test("lines that come twice, late or out of order stand once and in their order", () => {
  let held: readonly LogLine[] = [];
  for (const piece of [lines(3, 4), lines(1, 2, 3), lines(4, 5), [], lines(5)]) held = mergeLines(held, piece);
  expect(numbers(held)).toEqual([1, 2, 3, 4, 5]);
});

test("a list stays the same object while nothing is new", () => {
  const held = lines(1, 2);
  expect(mergeLines(held, lines(2))).toBe(held);
  expect(mergeLines(held, [])).toBe(held);
});

test("the newest lines stay when there are too many", () => {
  const all = lines(...Array.from({ length: LINES_MAX + 10 }, (_, index) => index + 1));
  const held = mergeLines([], all);
  expect([held.length, held[0]?.n, held.at(-1)?.n]).toEqual([LINES_MAX, 11, LINES_MAX + 10]);
});

test("what was cut is counted at the line after it", () => {
  expect(logRows(lines(1, 2, 10, 11)).map((row) => row.cut)).toEqual([0, 0, 7, 0]);
  expect(logRows(lines(5)).map((row) => row.cut)).toEqual([4]);
});

test("the first hole is named by the line before it, and what comes before all lines is none", () => {
  expect([firstHole([]), firstHole(lines(5, 6)), firstHole(lines(5, 6, 9, 12))]).toEqual([null, null, 6]);
});
