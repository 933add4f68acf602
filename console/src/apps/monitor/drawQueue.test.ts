import { expect, it } from "vitest";
import { DrawQueue } from "./drawQueue";

function world(costMs: number) {
  const frames: (() => void)[] = [];
  const clock = { now: 0 };
  const drawn: string[] = [];
  const queue = new DrawQueue(
    (callback) => frames.push(callback),
    () => clock.now,
  );
  const job = (name: string) => () => {
    clock.now += costMs;
    drawn.push(name);
  };
  return { queue, frames, drawn, job };
}

it("draws no more in a frame than fits, and the rest in the next ones", () => {
  const { queue, frames, drawn, job } = world(6);
  for (const name of ["a", "b", "c"]) queue.put({ name }, job(name));
  expect(frames.length).toBe(1);
  frames.shift()?.();
  expect(drawn).toEqual(["a", "b"]);
  frames.shift()?.();
  expect(drawn).toEqual(["a", "b", "c"]);
  expect(frames).toEqual([]);
});

it("draws only the newest of what one chart wants, and nothing of one that is gone", () => {
  const { queue, frames, drawn, job } = world(1);
  const [chart, gone] = [{}, {}];
  queue.put(chart, job("old"));
  queue.put(gone, job("gone"));
  queue.put(chart, job("new"));
  queue.drop(gone);
  frames.shift()?.();
  expect(drawn).toEqual(["new"]);
});
