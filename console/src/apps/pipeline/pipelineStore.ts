/**
 * The pipeline as it is: counters, records, consumers, lag.
 *
 * REST is asked when the page opens, on a refresh, and after a gap; everything else comes by channels
 * `pipeline` and `pipeline_state`.
 *
 * Invariant: records are followed from the cursor of the list that was loaded, so nothing falls between.
 */
import { defineStore } from "pinia";
import { shallowRef } from "vue";
import type { LiveEvent } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import { crewView } from "./crewView";
import { loadingOf } from "./loading";
import { pipelineApi } from "./pipelineApi";
import { recordsView } from "./recordsView";
import { statesView } from "./statesView";
import type { PipelineState, Statistics, Topics } from "./wire";

export const usePipeline = defineStore("pipeline", () => {
  const live = useLive();
  const list = recordsView();
  const crew = crewView();
  const { loadStates, ...states } = statesView();
  const topics = shallowRef<Topics | null>(null);
  const { load, stopLoading, ...progress } = loadingOf(async () => follow(await loadAll()));
  let stops: (() => void)[] = [];
  let second: ReturnType<typeof setInterval> | undefined;

  async function loadAll(): Promise<string> {
    const { logs: ask, statistics, consumers, state, topics: askTopics } = pipelineApi;
    const [logs, counters, all, now, found] = await Promise.all([
      ask(),
      statistics(),
      consumers(),
      state(),
      askTopics(),
    ]);
    list.load(logs.logs);
    loadStates(counters, now);
    crew.consumers.value = all;
    topics.value = found;
    return logs.cursor;
  }

  function follow(after: string): void {
    release();
    // The page was left while its list was on its way: nobody looks.
    if (second === undefined) return;
    stops = [
      live.follow({ channel: "pipeline", after, onEvent: take, onGap: () => void load() }),
      // Only the newest is kept there: it comes at once, whatever changed since it was read.
      live.follow({ channel: "pipeline_state", after: "0", onEvent: takeState }),
    ];
  }

  function take(event: LiveEvent): void {
    if (event.event === "stats-updated") states.count(event.data as Statistics);
    else if (event.event === "consumer-status-changed") crew.settle();
    else list.take(event);
  }

  function takeState(event: LiveEvent): void {
    if (event.event === "state-updated") states.state.value = event.data as PipelineState;
  }

  function release(): void {
    for (const stop of stops) stop();
    stops = [];
  }

  function open(): void {
    second ??= setInterval(() => states.tick(live.status.state === "live"), 1000);
    void load();
  }

  function close(): void {
    stopLoading();
    clearInterval(second);
    second = undefined;
    crew.stop();
    list.settleFrame();
    release();
  }

  return {
    ...list,
    ...states,
    consumers: crew.consumers,
    settle: crew.settle,
    topics,
    ...progress,
    load,
    open,
    close,
  };
});
