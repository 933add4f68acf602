/**
 * Samples of `$overview` while the console is open; the charts get what was before that from the Monitor's
 * history.
 *
 * Invariants: a sample is shown until a newer one comes and is called stale after {@link patienceMs}; nothing
 * is invented between.
 */
import { defineStore } from "pinia";
import { computed, markRaw, ref, shallowRef } from "vue";
import { ApiError, api } from "@/shared/api";
import { serverSkew, useNow } from "@/shared/clock";
import type { LiveEvent, LiveState } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import { type Health, type OverviewSample, SERVED } from "@/shared/wire";
import { loadPast, PAST_FIGURES, pastRows } from "./past";
import { patienceMs, Series } from "./series";

const HEALTH_MS = 5000;
const DEAF_MS = 12_000;
const WAKE_PAUSE_MS = 30_000;

export function isStale(lastAt: number | null, now: number, patience: number): boolean {
  return lastAt !== null && now - lastAt > patience;
}

function makeCharts() {
  return {
    rates: new Series([(s) => s.deliveries_per_second, (s) => s.events_per_second]),
    delivery: new Series([(s) => s.delivery_latency_ms.p50, (s) => s.delivery_latency_ms.p99]),
    commit: new Series([(s) => s.commit_latency_ms.p50, (s) => s.commit_latency_ms.p99]),
    connections: new Series(SERVED.map((name) => (s: OverviewSample) => s.connections[name] ?? 0)),
  };
}

const CHARTS = ["rates", "delivery", "commit", "connections"] as const;

/** Silent for {@link DEAF_MS} although the connection calls itself live and the server answered lately. */
export function isDeaf(
  seen: { state: LiveState; sampleAt: number | null; healthAt: number | null; wokenAt: number },
  now: number,
): boolean {
  const { state, sampleAt, healthAt, wokenAt } = seen;
  if (state !== "live" || sampleAt === null || healthAt === null) return false;
  return now - sampleAt > DEAF_MS && now - healthAt < 2000 && now - wokenAt > WAKE_PAUSE_MS;
}

/** Follows the samples while it is on. */
function makeFollowing(take: (sample: OverviewSample) => void) {
  let unfollow: (() => void) | null = null;
  const onEvent = ({ event, data }: LiveEvent) => {
    if (event === "overview") take(data as OverviewSample);
  };
  return {
    set(on: boolean): void {
      if (on) unfollow ??= useLive().follow({ channel: "$overview", onEvent });
      else {
        unfollow?.();
        unfollow = null;
      }
    },
  };
}

export const useOverview = defineStore("overview", () => {
  const live = useLive();
  const now = useNow();
  const sample = shallowRef<OverviewSample | null>(null);
  const sampleAt = ref<number | null>(null);
  const health = shallowRef<Health | null>(null);
  const healthAt = ref<number | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const charts = markRaw(makeCharts());
  const resting = ref(false);
  const samples = makeFollowing(take);
  let started = false;
  let wokenAt = 0;
  let first: Promise<void> = Promise.resolve();

  function take(next: OverviewSample): void {
    const at = Date.now();
    serverSkew.observe(next.time, at);
    sample.value = next;
    sampleAt.value = at;
    error.value = null;
    for (const series of Object.values(charts)) series.push(next, at, patienceMs(live.status.transport));
  }

  async function load(): Promise<void> {
    try {
      take(await api.overview());
    } catch (cause) {
      if (cause instanceof ApiError && sample.value === null) error.value = cause;
    }
    await loadHealth();
  }

  /** Fills the charts with what happened while nobody here took samples. */
  async function recall(): Promise<void> {
    try {
      await first; // then the server's clock is known
      const past = await loadPast(Date.now() - serverSkew.ms);
      const patience = Math.max(patienceMs(live.status.transport), 3 * past.step_ms);
      for (const name of CHARTS) charts[name].recall(pastRows(past, PAST_FIGURES[name], serverSkew.ms), patience);
    } catch {
      // A server without the Monitor: the charts begin with this page.
    }
  }

  async function loadHealth(): Promise<void> {
    try {
      health.value = await api.health();
      healthAt.value = Date.now();
    } catch {
      // The page says since when the figures are old; that is the message.
    }
  }

  /**
   * The channel speaks every second. If it is silent while the server answers, something in between holds a
   * dead connection open; the client would believe in it for two heartbeats, we need not.
   */
  function wake(): void {
    const at = Date.now();
    if (!isDeaf({ state: live.status.state, sampleAt: sampleAt.value, healthAt: healthAt.value, wokenAt }, at)) return;
    wokenAt = at;
    live.reconnect();
  }

  /** A page that measures its own traffic wants this store silent meanwhile: no samples, no requests. */
  function rest(on: boolean): void {
    resting.value = on;
    if (!started) return;
    samples.set(!on);
    if (!on) void load();
  }

  /** Begins to follow; later calls do nothing. */
  function start(): void {
    if (started) return;
    started = true;
    samples.set(!resting.value);
    first = load();
    setInterval(() => {
      if (document.visibilityState === "visible" && !resting.value)
        void (sample.value === null ? load() : loadHealth()).then(wake);
    }, HEALTH_MS);
  }

  const stale = computed(() => !resting.value && isStale(sampleAt.value, now.value, patienceMs(live.status.transport)));
  const healthStale = computed(() => healthAt.value !== null && now.value - healthAt.value > 2 * HEALTH_MS + 2000);

  const figures = { sample, sampleAt, health, healthAt, healthStale, error, stale, charts };
  return { ...figures, resting, start, rest, load, recall };
});
