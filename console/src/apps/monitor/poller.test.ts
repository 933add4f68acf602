import { describe, expect, it } from "vitest";
import { type PollAnswer, Poller } from "./poller";

interface Call {
  url: string;
  tag: string | null;
}

/** A server that answers what it is told, and timers that run when they are told. */
function world(answers: (Response | Error)[]) {
  const calls: Call[] = [];
  const timers: (() => void)[] = [];
  const heard: (PollAnswer | string)[] = [];
  const poller = new Poller({
    url: "/api/performance",
    everyMs: 5000,
    fetch: async (url, init) => {
      calls.push({ url: String(url), tag: new Headers(init?.headers).get("If-None-Match") });
      const answer = answers.shift();
      if (answer === undefined || answer instanceof Error) throw answer ?? new Error("nothing left");
      return answer;
    },
    onAnswer: (answer) => heard.push(answer),
    onFailure: (message, status) => heard.push(`${status} ${message}`),
    setTimeout: (callback) => timers.push(callback),
    clearTimeout: () => timers.splice(0),
  });
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  const beat = async () => {
    timers.shift()?.();
    await settle();
  };
  return { poller, calls, timers, heard, settle, beat };
}

const fresh = (tag: string) => new Response('{"host":"h"}', { headers: { ETag: tag } });
const nothing = () => new Response(null, { status: 304 });

describe("polling", () => {
  it("asks with the tag of what it has, so that nothing is sent twice", async () => {
    const { poller, calls, heard, settle, beat } = world([fresh('"a-1"'), nothing(), fresh('"a-2"')]);
    poller.start();
    await settle();
    await beat();
    await beat();
    expect(calls.map((call) => call.tag)).toEqual([null, '"a-1"', '"a-1"']);
    expect(heard.map((one) => (typeof one === "string" ? one : one.status))).toEqual([200, 304, 200]);
  });

  it("goes on after a failure, and says what it was", async () => {
    const refusal = new Response('{"code":"not_found","message":"no host"}', { status: 404 });
    const { poller, heard, settle, beat } = world([new Error("down"), refusal, fresh('"a-1"')]);
    poller.start();
    await settle();
    await beat();
    await beat();
    expect(heard.slice(0, 2)).toEqual(["0 down", "404 no host"]);
    expect(heard[2]).toMatchObject({ status: 200 });
  });

  it("is silent once it was stopped", async () => {
    const { poller, heard, timers, settle } = world([fresh('"a-1"')]);
    poller.start();
    poller.stop();
    await settle();
    expect(heard).toEqual([]);
    expect(timers).toEqual([]);
  });
});
