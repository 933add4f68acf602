/**
 * What polling costs against streaming, measured on this very page: what is in use is measured now, the
 * others keep their last measure.
 *
 * Counted is the whole traffic of the page while it is in use: polls, and everything on its live connection.
 */
import { defineStore } from "pinia";
import { markRaw, ref } from "vue";
import { liveTraffic, TrafficMeter } from "@/shared/traffic";
import { AgeMeter, type Cost } from "./costs";

export const useCosts = defineStore("monitorCosts", () => {
  const pollTraffic = markRaw(new TrafficMeter());
  const ages = markRaw(new AgeMeter());
  const measured = ref<Record<string, Cost>>({});
  const active = ref<string | null>(null);
  let fresh = false;

  /** Another way is in use from now on. */
  function begin(key: string): void {
    active.value = key;
    fresh = true;
    restart();
  }

  function restart(): void {
    pollTraffic.restart();
    liveTraffic.restart();
    ages.restart();
  }

  /**
   * A sample came. What connecting cost is not what going on costs: measuring begins after the first one of a
   * stream.
   */
  function arrived(): void {
    if (fresh && active.value?.startsWith("stream")) restart();
    fresh = false;
  }

  /** Once a second: how old what is shown is. */
  function tick(ageMs: number | null): void {
    if (ageMs !== null) ages.observe(ageMs);
    const [polls, stream] = [pollTraffic.perMinute(), liveTraffic.perMinute()];
    if (!active.value || !polls || !stream) return;
    measured.value[active.value] = {
      requests: polls.requests + stream.requests,
      bytes: polls.bytes + stream.bytes,
      ageMs: ages.mean,
      measuredMs: liveTraffic.measuredMs,
      at: Date.now(),
    };
  }

  return { pollTraffic, measured, active, begin, arrived, tick };
});
