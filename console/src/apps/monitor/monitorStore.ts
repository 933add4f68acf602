/**
 * The monitor's page: which host, how its samples come, what part of time is seen.
 *
 * ```
 * open ─► history is read ─► samples are polled or streamed, from the cursor of the history ─► close
 *              ▲                     │ another host, another span, another way, pause ended,
 *              └─────────────────────┘ samples missed while the browser slept or the network was away
 * ```
 *
 * Invariant: answers to an earlier choice are thrown away. While a view of the past is open, live samples go
 * on arriving for the figures above it.
 */
import { useDocumentVisibility, useStorage } from "@vueuse/core";
import { defineStore } from "pinia";
import { computed, markRaw, type Ref, ref, shallowRef, watch } from "vue";
import { useOverview } from "@/overview/overviewStore";
import { ApiError } from "@/shared/api";
import { serverSkew, useNow } from "@/shared/clock";
import { useLive } from "@/shared/liveStore";
import { countingFetch } from "@/shared/traffic";
import { monitorApi, sampleUrl } from "./api";
import { useCosts } from "./costStore";
import { Feed } from "./feed";
import {
  DEFAULT_MODE,
  DEFAULT_SPAN_MS,
  holeAfterMs,
  isBrief,
  keyOf,
  type Mode,
  modeOf,
  staleAfterMs,
  type View,
} from "./modes";
import { makeShown } from "./shown";
import { Timeline } from "./timeline";
import type { Host, HostSample } from "./wire";

/** The hosts that can be chosen, and the one that is. */
function makeHosts() {
  const host = ref<string | null>(null);
  const hosts = shallowRef<Host[]>([]);
  const hostOf = (name: string | null) => hosts.value.find((one) => (name === null ? one.own : one.host === name));
  const channel = () =>
    hostOf(host.value)?.channel ?? (host.value === null ? "performance" : `performance_${host.value}`);

  async function loadHosts(): Promise<void> {
    try {
      hosts.value = (await monitorApi.hosts()).hosts;
    } catch {
      // The list of before stays; the page says what is stale.
    }
  }

  return { host, hosts, hostOf, channel, loadHosts };
}

/** A part of the past that is looked at instead of now. */
function makePast(host: Ref<string | null>, intervalMs: () => number, onChange: (error: ApiError | null) => void) {
  const view = shallowRef<View | null>(null);
  const past = shallowRef<Timeline | null>(null);

  async function look(next: View | null): Promise<void> {
    view.value = next;
    if (next === null) {
      past.value = null;
      onChange(null);
      return;
    }
    try {
      const rows = await monitorApi.history(host.value, next.from, next.to);
      if (view.value !== next) return;
      past.value = loaded(rows, Number.MAX_SAFE_INTEGER, intervalMs());
      onChange(null);
    } catch (cause) {
      onChange(cause instanceof ApiError ? cause : null);
    }
  }

  return { view, past, look };
}

function loaded(rows: Parameters<Timeline["load"]>[0], spanMs: number, intervalMs: number): Timeline {
  const timeline = markRaw(new Timeline(spanMs));
  timeline.load(rows, intervalMs);
  return timeline;
}

export const useMonitor = defineStore("monitor", () => {
  const costs = useCosts();
  const now = useNow();
  const modeKey = useStorage("anywire-monitor-mode", keyOf(DEFAULT_MODE));
  const spanMs = useStorage("anywire-monitor-span", DEFAULT_SPAN_MS);
  const mode = computed<Mode>(() => modeOf(modeKey.value));
  const { channel, ...hosts } = makeHosts();
  const intervalMs = computed(
    () => state.sample.value?.interval_ms ?? hosts.hostOf(hosts.host.value)?.interval_ms ?? 1000,
  );
  const shown = makeShown({
    spanMs: () => spanMs.value,
    patienceMs: () => holeAfterMs(mode.value, intervalMs.value),
    isServer: () => hosts.host.value === null,
    onArrival: costs.arrived,
    onHole: () => run.missed(),
  });
  const { state } = shown;
  const past = makePast(
    hosts.host,
    () => intervalMs.value,
    (error) => {
      if (error) state.error.value = error;
      state.drawn.value += 1;
    },
  );
  const feed = new Feed({
    follow: (options) => useLive().follow(options),
    fetch: countingFetch(() => costs.pollTraffic),
    onSample: shown.take,
    onBrief: shown.takeBrief,
    onNothing: shown.nothing,
    onMissed: () => run.missed(),
    onFailure: shown.fail,
  });
  const run: ReturnType<typeof makeRun> = makeRun({
    feed,
    shown,
    past,
    hosts: { ...hosts, channel },
    mode,
    spanMs,
    intervalMs,
    costs,
  });

  const patienceMs = computed(() => staleAfterMs(mode.value, intervalMs.value));
  const overdue = makeOverdue(state.sampleAt, patienceMs);
  const stale = computed(() => {
    if (run.paused.value || state.sampleAt.value === null) return false;
    // The last sample of a host that fell silent long ago is old from the moment it is here.
    return overdue.value || (state.ageMs.value ?? 0) > patienceMs.value + intervalMs.value;
  });
  watch([modeKey, spanMs], () => run.again());
  watch(now, () => {
    if (run.isOn()) costs.tick(stale.value ? null : state.ageMs.value);
  });

  const { paused, loading, reload, chooseHost, pause, start, stop } = run;
  const actions = { reload, chooseHost, pause, start, stop, pollNow: () => feed.pollNow() };
  return { modeKey, mode, spanMs, intervalMs, stale, paused, loading, ...hosts, ...state, ...past, ...actions };
});

interface Parts {
  feed: Feed;
  shown: ReturnType<typeof makeShown>;
  past: ReturnType<typeof makePast>;
  hosts: ReturnType<typeof makeHosts>;
  mode: Ref<Mode>;
  spanMs: Ref<number>;
  intervalMs: Ref<number>;
  costs: ReturnType<typeof useCosts>;
}

/**
 * Whether the next sample should have come by now: to the moment, since the page's second hand is too coarse
 * for a sample a second.
 */
function makeOverdue(sampleAt: Ref<number | null>, patienceMs: Ref<number>): Ref<boolean> {
  const overdue = ref(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  watch([sampleAt, patienceMs], ([at, patience]) => {
    clearTimeout(timer);
    const left = at === null ? Number.POSITIVE_INFINITY : at + patience - Date.now();
    overdue.value = left <= 0;
    if (left > 0 && at !== null) timer = setTimeout(() => (overdue.value = true), left);
  });
  return overdue;
}

/**
 * Samples that did not come here, but that the server may have: what is drawn as a hole must be one. It is
 * asked when somebody looks.
 */
function makeMissing(ask: () => void) {
  const visibility = useDocumentVisibility();
  const missing = ref(false);
  watch([missing, visibility], () => {
    if (missing.value && visibility.value === "visible") ask();
  });
  const set = (to: boolean) => {
    missing.value = to;
  };
  return { missed: () => set(true), looked: () => set(false) };
}

/** Opening, going on, pausing, closing. */
function makeRun({ feed, shown, past, hosts, mode, spanMs, intervalMs, costs }: Parts) {
  const overview = useOverview();
  const paused = ref(false);
  const loading = ref(false);
  let open = false;
  let generation = 0;
  const { state } = shown;
  const isOn = () => open && !paused.value;
  const again = () => {
    if (isOn()) void reload();
  };
  const missing = makeMissing(again);

  /** Reads history anew, then goes on live from where it ends. */
  async function reload(): Promise<void> {
    generation += 1;
    const mine = generation;
    missing.looked();
    let cursor: string | undefined;
    const wanted = `${spanMs.value} ${hosts.host.value}`;
    loading.value = true;
    feed.close();
    try {
      const at = Date.now() - serverSkew.ms;
      const rows = await monitorApi.history(hosts.host.value, at - spanMs.value, at + 1000);
      if (mine !== generation) return;
      shown.draw(loaded(rows, spanMs.value, intervalMs.value), wanted);
      cursor = rows.cursor;
      if (isBrief(mode.value)) await showWhole(mine);
    } catch (cause) {
      if (mine !== generation) return;
      if (cause instanceof ApiError) state.error.value = cause;
      if (!shown.draws(wanted)) shown.draw(markRaw(new Timeline(spanMs.value)), wanted);
    }
    if (mine !== generation) return;
    loading.value = false;
    if (!isOn()) return;
    costs.begin(keyOf(mode.value));
    feed.open({ mode: mode.value, host: hosts.host.value, channel: hosts.channel(), cursor });
  }

  /** The brief stream has no cores and disks: once, at its beginning, a whole sample is read. */
  async function showWhole(mine: number): Promise<void> {
    const text = await monitorApi.newestText(hosts.host.value);
    const from = { source: sampleUrl(hosts.host.value), status: "200 OK" };
    if (mine === generation) shown.take(JSON.parse(text) as HostSample, text, from);
  }

  function chooseHost(name: string | null): void {
    hosts.host.value = hosts.hosts.value.find((one) => one.host === name)?.own ? null : name;
    void past.look(null);
    shown.clear();
    void reload();
  }

  function pause(on: boolean): void {
    paused.value = on;
    if (on) feed.close();
    else void reload();
  }

  async function start(): Promise<void> {
    open = true;
    overview.rest(true);
    await hosts.loadHosts();
    if (open) await reload();
  }

  function stop(): void {
    open = false;
    generation += 1;
    feed.close();
    overview.rest(false);
  }

  return { paused, loading, isOn, again, missed: missing.missed, reload, chooseHost, pause, start, stop };
}
