/**
 * The pipeline as it is: counters, records, consumers, lag.
 *
 * REST is asked when the page opens, on a refresh, and after a gap; everything else comes by channels `pipeline` and `pipeline_state`.
 *
 * Invariants:
 * - records are followed from the cursor of the list that was loaded: nothing falls between;
 * - the screen changes at most ten times a second, however much comes;
 * - the server's counters replace ours.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef, triggerRef } from "vue";
import { ApiError } from "@/shared/api";
import { useNow } from "@/shared/clock";
import type { LiveEvent } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import { LagSeries } from "./lagSeries";
import { pipelineApi } from "./pipelineApi";
import { RateWindow } from "./rates";
import { type Filter, fits, RecordList } from "./recordList";
import type { Consumer, LogEntry, PipelineState, Statistics, Topics } from "./wire";

export const RECORDS_MAX = 10_000;
const FRAME_MS = 100;
const RETRY_MS = 3000;
/** Consumers hold other partitions a moment after one came or went. */
const SETTLE_MS = 2500;

export const usePipeline = defineStore("pipeline", () => {
  const live = useLive();
  const now = useNow();
  const list = new RecordList(RECORDS_MAX);
  const window = new RateWindow();
  const lagSeries = shallowRef(new LagSeries());
  const statistics = shallowRef<Statistics | null>(null);
  const consumers = ref<Consumer[]>([]);
  const state = shallowRef<PipelineState | null>(null);
  const topics = shallowRef<Topics | null>(null);
  const filter = ref<Filter>({ status: "", text: "" });
  const loaded = ref(false);
  const loading = ref(false);
  const error = shallowRef<ApiError | null>(null);
  /** Counts the changes of the list; what shows it depends on this. */
  const version = ref(0);
  const frozen = shallowRef<LogEntry[] | null>(null);
  const waiting = ref(0);
  const held = ref(0);

  let stops: (() => void)[] = [];
  let dirty: ReturnType<typeof setTimeout> | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  let settling: ReturnType<typeof setTimeout> | undefined;
  let second: ReturnType<typeof setInterval> | undefined;

  const records = computed(() => {
    const wanted = fits(filter.value);
    if (frozen.value) return frozen.value.filter(wanted);
    return version.value >= 0 ? list.select(wanted) : [];
  });
  const rates = computed(() => (version.value >= 0 ? window.rates(now.value) : window.rates(0)));
  const lag = computed(() => {
    const known = state.value?.lag.filter((one) => one.messages !== null) ?? [];
    return known.length === 0 ? null : known.reduce((sum, one) => sum + (one.messages ?? 0), 0);
  });

  async function load(): Promise<void> {
    clearTimeout(again);
    loading.value = true;
    try {
      const [logs, counters, crew, lags, all] = await Promise.all([
        pipelineApi.logs(),
        pipelineApi.statistics(),
        pipelineApi.consumers(),
        pipelineApi.state(),
        pipelineApi.topics(),
      ]);
      list.load(logs.logs);
      window.clear();
      count(counters);
      consumers.value = crew;
      state.value = lags;
      topics.value = all;
      error.value = null;
      loaded.value = true;
      resume();
      show();
      follow(logs.cursor);
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
      if (error.value.transient) again = setTimeout(() => void load(), RETRY_MS);
    } finally {
      loading.value = false;
    }
  }

  function follow(after: string): void {
    stopFollowing();
    const onGap = () => void load();
    stops = [
      live.follow({ channel: "pipeline", after, onEvent: take, onGap }),
      live.follow({ channel: "pipeline_state", onEvent: takeState }),
    ];
  }

  function take(event: LiveEvent): void {
    if (event.event === "stats-updated") count(event.data as Statistics);
    else if (event.event === "consumer-status-changed") settle();
    else if (list.apply(event) && frozen.value && event.event === "message-received") waiting.value += 1;
    dirty ??= setTimeout(show, FRAME_MS);
  }

  function takeState(event: LiveEvent): void {
    if (event.event === "state-updated") state.value = event.data as PipelineState;
  }

  function count(counters: Statistics): void {
    statistics.value = counters;
    window.push(counters, Date.now());
  }

  function show(): void {
    clearTimeout(dirty);
    dirty = undefined;
    version.value += 1;
    held.value = list.size;
  }

  async function loadConsumers(): Promise<void> {
    try {
      consumers.value = await pipelineApi.consumers();
    } catch {
      // The next change or refresh asks again.
    }
  }

  /** Asks for the consumers at once, and once more when the group has settled. */
  function settle(): void {
    clearTimeout(settling);
    void loadConsumers();
    settling = setTimeout(() => void loadConsumers(), SETTLE_MS);
  }

  /** The list stands still; what comes is counted and shown later. */
  function pause(): void {
    frozen.value = list.select(() => true);
    waiting.value = 0;
  }

  function resume(): void {
    frozen.value = null;
    waiting.value = 0;
  }

  /** A record as the server answered it. */
  function put(entry: LogEntry): void {
    list.put(entry);
    show();
  }

  function tick(): void {
    const known = live.status.state === "live" || live.status.state === "quiet" ? state.value : null;
    lagSeries.value.tick(known, Date.now() / 1000);
    triggerRef(lagSeries);
  }

  function open(): void {
    second ??= setInterval(tick, 1000);
    void load();
  }

  function stopFollowing(): void {
    for (const stop of stops) stop();
    stops = [];
  }

  function close(): void {
    for (const timer of [dirty, again, settling]) clearTimeout(timer);
    clearInterval(second);
    second = undefined;
    dirty = undefined;
    stopFollowing();
  }

  return {
    statistics,
    consumers,
    state,
    topics,
    filter,
    loaded,
    loading,
    error,
    records,
    rates,
    lag,
    lagSeries,
    frozen,
    waiting,
    held,
    load,
    loadConsumers,
    settle,
    pause,
    resume,
    put,
    open,
    close,
  };
});
