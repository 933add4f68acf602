import { describe, expect, it } from "vitest";
import { LagSeries, lagByTopic } from "./lagSeries";
import { RateWindow } from "./rates";
import { fits, RecordList, times } from "./recordList";
import type { PartitionLag, PipelineState, Statistics } from "./wire";

function received(id: string, offset = "0", at = 0) {
  const timestamp = new Date(at).toISOString();
  const data = { logId: id, topic: "test", partition: 1, offset, dataType: "SINGLE_MESSAGE", rowCount: 1, timestamp };
  return { event: "message-received", data };
}

function step(event: string, id: string, at: number, more = {}) {
  return { event, data: { logId: id, timestamp: new Date(at).toISOString(), ...more } };
}

const all = () => true;

describe("the list of records", () => {
  it("shows a record's life with the time in each state", () => {
    const list = new RecordList(10);
    list.apply(received("a", "7", 1000));
    list.apply(step("processing-started", "a", 1020));
    expect(list.get("a")).toMatchObject({ status: "PROCESSING", attempts: 1, offset: "7" });
    list.apply(step("processing-completed", "a", 1050, { consumerId: "consumer-1" }));
    const entry = list.get("a");
    expect(entry).toMatchObject({ status: "PROCESSED", consumerId: "consumer-1" });
    expect(entry && times(entry)).toEqual({ waitedMs: 20, tookMs: 30 });
  });

  it("holds a record once, however often it is delivered", () => {
    const list = new RecordList(10);
    for (const event of [received("a"), step("processing-failed", "a", 5, { error: "x" }), received("a")])
      list.apply(event);
    expect(list.size).toBe(1);
    expect(list.get("a")).toMatchObject({ status: "FAILED", error: "x" });
  });

  it("never holds more than its limit, and lets the oldest go", () => {
    const list = new RecordList(100);
    for (let n = 0; n < 1050; n += 1) list.apply(received(`${n}`, `${n}`));
    expect(list.size).toBe(100);
    const shown = list.select(all).map((entry) => entry.logId);
    expect([shown.length, shown[0], shown.at(-1)]).toEqual([100, "1049", "950"]);
    expect(list.apply(step("processing-started", "3", 1))).toBe(false);
  });

  it("begins with the server's list, newest first, and goes on from there", () => {
    const source = new RecordList(10);
    for (const id of ["a", "b"]) source.apply(received(id));
    const list = new RecordList(10);
    list.load(source.select(all));
    list.apply(received("c"));
    expect(list.select(all).map((entry) => entry.logId)).toEqual(["c", "b", "a"]);
  });

  it("finds records by status and by words anywhere in them", () => {
    const list = new RecordList(10);
    list.apply(received("a", "41"));
    list.apply(received("b", "42"));
    list.apply(step("processing-failed", "b", 1, { error: "Connection timeout" }));
    const found = (status: "" | "FAILED", text: string) => list.select(fits({ status, text })).map((one) => one.logId);
    expect(found("FAILED", "")).toEqual(["b"]);
    expect(found("", "test/1/41")).toEqual(["a"]);
    expect(found("", "TIMEOUT test")).toEqual(["b"]);
    expect(found("FAILED", "41")).toEqual([]);
  });
});

function counters(total: number): Statistics {
  return { totalMessages: total, processedMessages: total, failedMessages: 0, activeConsumers: 1, timestamp: "" };
}

describe("rates", () => {
  it("count what came in the last seconds and fall to zero without news", () => {
    const window = new RateWindow();
    window.push(counters(0), 0);
    window.push(counters(500), 2000);
    expect(window.rates(2000).processed).toBe(250);
    expect(window.rates(30_000).processed).toBe(0);
  });
});

function lag(topic: string, messages: number | null): PartitionLag {
  return { topic, partition: 0, begin: "0", end: "9", committed: null, messages, seconds: null, consumerId: null };
}

describe("lag", () => {
  it("is unknown, not enormous, where nobody ever committed", () => {
    const state: PipelineState = {
      broker: { kind: "kafka", state: "UP", reason: null, since: null },
      lagError: null,
      notices: [],
      group: "g",
      lag: [lag("a", 3), lag("a", null), lag("b", null)],
    };
    expect([...lagByTopic(state)]).toEqual([
      ["a", 3],
      ["b", null],
    ]);
    const series = new LagSeries();
    series.tick(state, 1);
    series.tick(null, 2);
    expect(series.columns()).toEqual([
      [1, 2],
      [3, null],
      [null, null],
    ]);
  });
});
