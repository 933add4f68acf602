/**
 * One job as the front ends of the contract follow it: what they are told of the job, and of the connection.
 */
import { describe, expect, test } from "vitest";
import { measure } from "../scripts/size.mjs";
import { fiveTriesThenPoll } from "../src/index.js";
import { followJob, type JobHandlers, type JobState, type Notice, withSteps } from "../src/jobs.js";
import { type World, world } from "./world.js";

function state(status: string, step: number) {
  return { session_id: "a", status, step, steps: [] };
}

function watch(at: World, more: JobHandlers = {}) {
  const told: string[] = [];
  const notices: Notice[] = [];
  const tell = (name: string) => (state: { step: number }) => told.push(`${name} ${state.step}`);
  const job = followJob(at.connection, "a", {
    onProgress: tell("progress"),
    onCompleted: tell("completed"),
    onFailed: tell("failed"),
    onCancelled: tell("cancelled"),
    onNotice: (notice) => notices.push(notice),
    ...more,
  });
  return { told, notices, job };
}

function publish(at: World, status: string, step: number, event = "progress_update"): void {
  at.server.publish("progress_a", state(status, step), event);
}

describe("a followed job", () => {
  test("is told by the names of the contract, from its first event on and past a retry", async () => {
    const at = world();
    publish(at, "queued", 0);
    publish(at, "running", 1);
    publish(at, "failed", 1);
    const { told, job } = watch(at);
    await at.server.clock.advance(1000);
    for (const [status, step] of [
      ["queued", 0],
      ["running", 1],
      ["succeeded", 2],
      ["cancelled", 2],
    ] as const)
      publish(at, status, step);
    await at.server.clock.advance(1000);
    expect(told).toEqual([
      "progress 0",
      "progress 1",
      "failed 1",
      "progress 0",
      "progress 1",
      "completed 2",
      "cancelled 2",
    ]);
    expect(job.cursor).not.toBeNull();
    job.close();
    publish(at, "running", 3);
    await at.server.clock.advance(1000);
    expect(told).toHaveLength(7);
  });

  test("has all its steps, although an update of many brings only the newest", async () => {
    const at = world();
    const lists: number[][] = [];
    const onProgress = ({ steps }: JobState) => lists.push(steps.map(({ index }) => index));
    watch(at, { onProgress });
    const update = (attempt: number, indexes: number[]) => {
      const steps = indexes.map((index) => ({ index, name: `${index}`, started_at: "", duration_ms: null }));
      at.server.publish("progress_a", { ...state("running", 0), attempt, steps }, "progress_update");
    };
    update(0, [1, 2, 3]);
    update(0, [3, 4]);
    update(0, [4, 9]);
    update(1, []);
    update(1, [7]);
    await at.server.clock.advance(1000);
    expect(lists).toEqual([[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 9], [], [7]]);
    const other = { session_id: "b", attempt: 0, steps: [] };
    expect(withSteps(other, { ...other, session_id: "c" }).session_id).toBe("c");
  });

  test("on any transport ends with the same steps", async () => {
    const all = await Promise.all(
      (["websocket", "sse", "long-poll", "poll"] as const).map(async (transport) => {
        const at = world({ transports: [transport] });
        const { told } = watch(at);
        for (let step = 0; step < 30; step += 1) {
          publish(at, "running", step);
          await at.server.clock.advance(700);
        }
        publish(at, "succeeded", 30);
        await at.server.clock.advance(10_000);
        return told;
      }),
    );
    expect(all[0]).toHaveLength(31);
    for (const told of all) expect(told).toEqual(all[0]);
  });
});

describe("the word to the user", () => {
  test("five tries, then polling, then the stream again; the job misses nothing", async () => {
    const at = world({ policy: fiveTriesThenPoll });
    const { told, notices } = watch(at);
    publish(at, "running", 1);
    await at.server.clock.advance(1000);
    at.server.faults.refused.add("sse");
    at.server.kill();
    publish(at, "running", 2);
    await at.server.clock.advance(45_000);
    expect(notices.map((notice) => (notice.kind === "reconnecting" ? notice.attempt : notice.kind))).toEqual([
      1,
      2,
      3,
      4,
      5,
      "polling",
    ]);
    expect(notices[0]).toMatchObject({ tries: 5 });
    publish(at, "running", 3);
    await at.server.clock.advance(6000);
    expect(told).toEqual(["progress 1", "progress 2", "progress 3"]);
    at.server.faults.refused.clear();
    await at.server.clock.advance(31_000);
    expect(notices.at(-1)).toEqual({ kind: "live" });
    publish(at, "succeeded", 3);
    await at.server.clock.advance(1000);
    expect(told.at(-1)).toBe("completed 3");
  });

  test("nothing is said while nothing is wrong", async () => {
    const at = world({ policy: fiveTriesThenPoll });
    const { notices } = watch(at);
    publish(at, "running", 1);
    await at.server.clock.advance(60_000);
    expect(notices).toEqual([]);
  });
});

test("it adds less than a kilobyte to the core", async () => {
  const [core, jobs] = await Promise.all([measure("src/index.ts"), measure("src/jobs.ts")]);
  expect(jobs.gzipped - core.gzipped).toBeLessThan(1000);
});
