import { mount } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope, nextTick, ref } from "vue";
import { i18n, setLocale } from "@/shared/i18n";
import type { Follow, Live, LiveStatus } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import TransportBadge from "@/shared/TransportBadge.vue";
import type { JobState } from "@/shared/wire";
import { useJobs } from "./jobStore";
import StepList from "./StepList.vue";
import { useJob } from "./useJob";

const wire = vi.hoisted(() => ({
  follows: [] as Follow[],
  released: [] as string[],
  listeners: [] as ((status: LiveStatus) => void)[],
}));

const CONNECTING: LiveStatus = {
  transport: "websocket",
  state: "connecting",
  lastEventAt: null,
  latencyMs: null,
  reconnects: 0,
  gaps: 0,
  retryAt: null,
  problem: null,
};

vi.mock("@/shared/live", () => ({
  connectLive: (): Live => ({
    status: CONNECTING,
    clientName: "console-test",
    reconnect: () => undefined,
    onStatus: (listener) => {
      wire.listeners.push(listener);
      return () => undefined;
    },
    follow: (options) => {
      wire.follows.push(options);
      return () => void wire.released.push(options.channel);
    },
  }),
}));

const NOW = "2026-01-23T10:00:00.000Z";

function job(id: string, change: Partial<JobState> = {}): JobState {
  return {
    session_id: id,
    title: `${id}.csv`,
    kind: "report",
    attempt: 0,
    queue_position: null,
    status: "running",
    step: 1,
    total_steps: 9,
    step_name: "receive",
    percent: 20,
    message: null,
    metadata: {},
    steps: [{ index: 1, name: "receive", started_at: NOW, duration_ms: null }],
    result: null,
    error: null,
    created_at: NOW,
    updated_at: NOW,
    cursor: "1f0c93ab-10",
    ...change,
  };
}

/** The answers of a server, by path; what is not listed is a 404. */
function serve(answers: Record<string, unknown>): void {
  vi.stubGlobal("fetch", async (path: string) => {
    const body = answers[path];
    if (body === undefined) return new Response('{"code":"not_found","message":"no such job"}', { status: 404 });
    return new Response(JSON.stringify(body), { status: 200 });
  });
}

function publish(channel: string, event: string, data: unknown): void {
  for (const follow of wire.follows) {
    if (follow.channel === channel)
      follow.onEvent({ channel, event, offset: 11, time: NOW, data, cursor: "1f0c93ab-88" });
  }
}

const settled = () => vi.waitFor(() => Promise.resolve()).then(() => new Promise((resolve) => setTimeout(resolve, 0)));

beforeEach(async () => {
  setActivePinia(createPinia());
  wire.follows.length = 0;
  wire.released.length = 0;
  wire.listeners.length = 0;
  await setLocale("en");
});
afterEach(() => void vi.unstubAllGlobals());

describe("the page of one job", () => {
  it("follows the job from the cursor of the state it shows", async () => {
    serve({ "/api/progress/a": job("a", { cursor: "1f0c93ab-77" }) });
    const scope = effectScope();
    const page = scope.run(() => useJob(ref("a")));
    await settled();
    expect(wire.follows).toMatchObject([{ channel: "progress_a", after: "1f0c93ab-77" }]);
    publish("progress_a", "progress_update", job("a", { percent: 62, cursor: "1f0c93ab-78" }));
    expect(page?.job.value?.percent).toBe(62);
    scope.stop();
    expect(wire.released).toEqual(["progress_a"]);
  });

  it("says that a job does not exist, and only then", async () => {
    serve({});
    const page = effectScope().run(() => useJob(ref("gone")));
    expect(page?.missing.value).toBe(false);
    await settled();
    expect(page?.missing.value).toBe(true);
  });

  it("does not ask for a job that this page is still about to create", async () => {
    serve({ "/api/progress/a": job("a") });
    let exists = false;
    const page = effectScope().run(() => useJob(ref("a"), { exists: () => exists }));
    await settled();
    expect(page?.job.value).toBeNull();
    exists = true;
    await vi.waitFor(() => expect(page?.job.value?.session_id).toBe("a"));
  });

  it("shows what the list knew until the answer is here, and never goes back to it", async () => {
    serve({ "/api/progress/a": job("a", { percent: 62, cursor: "1f0c93ab-78" }) });
    const known = () => job("a", { percent: 40, cursor: "1f0c93ab-70" });
    const page = effectScope().run(() => useJob(ref("a"), { known }));
    expect(page?.job.value?.percent).toBe(40);
    await settled();
    expect(page?.job.value?.percent).toBe(62);
    expect(wire.follows).toMatchObject([{ channel: "progress_a", after: "1f0c93ab-78" }]);
  });

  it("loads the state afresh when events were lost", async () => {
    serve({ "/api/progress/a": job("a") });
    const page = effectScope().run(() => useJob(ref("a")));
    await settled();
    serve({ "/api/progress/a": job("a", { percent: 90, cursor: "1f0c93ab-99" }) });
    wire.follows[0]?.onGap?.();
    await settled();
    expect(page?.job.value?.percent).toBe(90);
  });
});

describe("the list of jobs", () => {
  it("follows what runs and nothing else", async () => {
    serve({ "/api/jobs?limit=50": { jobs: [job("a"), job("b", { status: "succeeded" })], cursor: "1f0c93ab-10" } });
    useJobs().open();
    await settled();
    expect(wire.follows.map((follow) => follow.channel)).toEqual(["progress_a"]);
  });

  it("lets a job go when it has ended, and keeps it in its place", async () => {
    serve({ "/api/jobs?limit=50": { jobs: [job("b"), job("a")], cursor: "1f0c93ab-10" } });
    const jobs = useJobs();
    jobs.open();
    await settled();
    const before = jobs.jobs.map((shown) => shown.session_id);
    publish("progress_a", "progress_update", job("a", { status: "succeeded", cursor: "1f0c93ab-12" }));
    expect(jobs.jobs.map((shown) => shown.session_id)).toEqual(before);
    expect(wire.released).toEqual(["progress_a"]);
  });

  it("shows only the jobs of the chosen state", async () => {
    serve({ "/api/jobs?state=failed&limit=50": { jobs: [job("a", { status: "failed" })], cursor: "1f0c93ab-10" } });
    const jobs = useJobs();
    jobs.state = "failed";
    jobs.open();
    await settled();
    expect(jobs.jobs).toHaveLength(1);
    jobs.put(job("b"));
    expect(jobs.jobs.map((shown) => shown.session_id)).toEqual(["a"]);
  });
});

describe("what a test of the whole page holds on to", () => {
  const global = { plugins: [i18n] };

  it("steps carry their name, index and state", () => {
    const steps = [
      { index: 1, name: "receive", started_at: NOW, duration_ms: 12 },
      { index: 2, name: "checksum", started_at: NOW, duration_ms: null },
    ];
    const list = mount(StepList, { props: { job: job("a", { step: 2, steps }) }, global });
    const items = list.findAll('[data-testid="step"]');
    expect(items).toHaveLength(9);
    expect(items[1]?.attributes()).toMatchObject({
      "data-step-name": "checksum",
      "data-step-index": "2",
      "data-step-state": "running",
    });
    expect(items[1]?.attributes("aria-current")).toBe("step");
    list.unmount();
  });

  it("the badge carries the transport and the state, and says both in words", async () => {
    const badge = mount(TransportBadge, { global });
    useLive().open();
    wire.listeners[0]?.({ ...CONNECTING, transport: "longpoll", state: "live", lastEventAt: Date.now() });
    await nextTick();
    const button = badge.find('[data-testid="badge-transport"]');
    expect(button.attributes()).toMatchObject({ "data-transport": "longpoll", "data-state": "live" });
    expect(button.attributes("aria-label")).toBe("Connection: Long-polling, live, last event 0 s ago");
    badge.unmount();
  });

  it("the badge's words change with the language", async () => {
    await setLocale("vi");
    const badge = mount(TransportBadge, { global });
    useLive().open();
    wire.listeners[0]?.({ ...CONNECTING, state: "reconnecting" });
    await nextTick();
    expect(badge.text()).toContain("đang nối lại");
    badge.unmount();
  });
});
