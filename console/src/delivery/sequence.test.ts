import { describe, expect, it } from "vitest";
import { SequenceCounter } from "./sequence";

function counter(published: number, ...received: number[]): SequenceCounter {
  const made = new SequenceCounter();
  made.acknowledge(published);
  for (const sequence of received) made.receive(sequence);
  return made;
}

describe("the proof counter", () => {
  it("counts a faultless run as received, nothing missing, nothing repeated", () => {
    expect(counter(4, 1, 2, 3, 4).counts).toMatchObject({
      published: 4,
      received: 4,
      missing: 0,
      repeated: 0,
      outOfOrder: 0,
      onTheWay: 0,
    });
  });

  it("calls a hole missing the moment it is seen", () => {
    expect(counter(5, 1, 2, 5).counts).toMatchObject({ received: 3, missing: 2, onTheWay: 0 });
  });

  it("calls a number that fills a hole out of order, and no longer missing", () => {
    expect(counter(3, 1, 3, 2).counts).toMatchObject({ received: 3, missing: 0, outOfOrder: 1, repeated: 0 });
  });

  it("counts a number once as received and then as repeated", () => {
    expect(counter(2, 1, 1, 2, 1).counts).toMatchObject({ received: 2, repeated: 2, missing: 0 });
  });

  it("lets published numbers be on the way until it is settled", () => {
    const run = counter(10, 1, 2, 3);
    expect(run.counts).toMatchObject({ onTheWay: 7, missing: 0 });
    run.settle();
    expect(run.counts).toMatchObject({ onTheWay: 0, missing: 7 });
  });

  it("does not mind when an event arrives before its acknowledgement", () => {
    const run = counter(0, 1, 2);
    expect(run.counts).toMatchObject({ published: 0, received: 2, onTheWay: 0, missing: 0 });
    run.acknowledge(2);
    expect(run.counts).toMatchObject({ published: 2, onTheWay: 0 });
  });

  it("misses the very first number too", () => {
    expect(counter(2, 2).counts).toMatchObject({ missing: 1, received: 1 });
  });

  it("ignores what is no number of the sequence", () => {
    expect(counter(0, Number.NaN, 0, -3, 1.5).counts).toMatchObject({ received: 0, missing: 0, repeated: 0 });
  });
});
