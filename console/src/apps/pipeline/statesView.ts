/** Counters with their rates, and the lag over the last minutes. */
import { computed, shallowRef, triggerRef } from "vue";
import { useNow } from "@/shared/clock";
import { LagSeries } from "./lagSeries";
import { RateWindow } from "./rates";
import type { PipelineState, Statistics } from "./wire";

export function statesView() {
  const now = useNow();
  const window = new RateWindow();
  const statistics = shallowRef<Statistics | null>(null);
  const state = shallowRef<PipelineState | null>(null);
  const lagSeries = shallowRef(new LagSeries());

  const rates = computed(() => window.rates(statistics.value ? Math.max(now.value, window.newest) : 0));
  const lag = computed(() => {
    const known = state.value?.lag.filter((one) => one.messages !== null) ?? [];
    return known.length === 0 ? null : known.reduce((sum, one) => sum + (one.messages ?? 0), 0);
  });

  /** The server's counters replace ours. */
  function count(counters: Statistics): void {
    window.push(counters, Date.now());
    statistics.value = counters;
  }

  /** A second has passed. What is not known at the moment is a hole. */
  function tick(known: boolean): void {
    lagSeries.value.tick(known ? state.value : null, Date.now() / 1000);
    triggerRef(lagSeries);
  }

  /** Everything as the server answered it. */
  function load(counters: Statistics, now: PipelineState): void {
    window.clear();
    count(counters);
    state.value = now;
    // The chart of the lag is there from the beginning, and pushes nothing down a second later.
    tick(true);
  }

  return { statistics, state, lagSeries, rates, lag, count, tick, loadStates: load };
}
