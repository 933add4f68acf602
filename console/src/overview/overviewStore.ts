/**
 * Samples of `$overview` while the console is open, so that the charts are full when the page is.
 *
 * Invariants: a sample is shown until a newer one comes and is called stale after {@link STALE_MS}; nothing is invented between.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef, triggerRef } from "vue";
import { ApiError, api } from "@/shared/api";
import { serverSkew, useNow } from "@/shared/clock";
import { useLive } from "@/shared/liveStore";
import type { Health, OverviewSample } from "@/shared/types";
import { Series } from "./series";

export const STALE_MS = 4000;
const HEALTH_MS = 5000;

export function isStale(lastAt: number | null, now: number): boolean {
  return lastAt !== null && now - lastAt > STALE_MS;
}

export const useOverview = defineStore("overview", () => {
  const live = useLive();
  const now = useNow();
  const sample = shallowRef<OverviewSample | null>(null);
  const sampleAt = ref<number | null>(null);
  const health = shallowRef<Health | null>(null);
  const healthAt = ref<number | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const rates = shallowRef(new Series([(s) => s.deliveries_per_second, (s) => s.events_per_second]));
  const delivery = shallowRef(new Series([(s) => s.delivery_latency_ms.p50, (s) => s.delivery_latency_ms.p99]));
  const commit = shallowRef(new Series([(s) => s.commit_latency_ms.p50, (s) => s.commit_latency_ms.p99]));
  const connections = shallowRef(
    new Series(["websocket", "sse", "longpoll", "poll"].map((name) => (s: OverviewSample) => s.connections[name] ?? 0)),
  );
  let started = false;

  function take(next: OverviewSample): void {
    const at = Date.now();
    serverSkew.observe(next.time, at);
    sample.value = next;
    sampleAt.value = at;
    error.value = null;
    for (const series of [rates, delivery, commit, connections]) {
      series.value.push(next, at);
      triggerRef(series);
    }
  }

  async function load(): Promise<void> {
    try {
      take(await api.overview());
    } catch (cause) {
      if (cause instanceof ApiError && sample.value === null) error.value = cause;
    }
    await loadHealth();
  }

  async function loadHealth(): Promise<void> {
    try {
      health.value = await api.health();
      healthAt.value = Date.now();
    } catch {
      // The page says since when the figures are old; that is the message.
    }
  }

  /** Begins to follow; later calls do nothing. */
  function start(): void {
    if (started) return;
    started = true;
    live.follow({
      channel: "$overview",
      onEvent: (event) => {
        if (event.event === "overview") take(event.data as OverviewSample);
      },
    });
    void load();
    setInterval(() => {
      if (document.visibilityState === "visible") void loadHealth();
    }, HEALTH_MS);
  }

  const stale = computed(() => isStale(sampleAt.value, now.value));
  const healthStale = computed(() => healthAt.value !== null && now.value - healthAt.value > 2 * HEALTH_MS + 2000);

  return {
    sample,
    sampleAt,
    health,
    healthAt,
    healthStale,
    error,
    stale,
    rates,
    delivery,
    commit,
    connections,
    start,
    load,
  };
});
