/**
 * What is shown of the newest sample, and of those before it.
 *
 * Invariants: a sample is shown until a newer one comes; one that is a little older changes nothing. One that
 * is much older is the first of a new run: a clock went back.
 */
import { computed, markRaw, ref, shallowRef } from "vue";
import { ApiError } from "@/shared/api";
import { serverSkew, useNow } from "@/shared/clock";
import type { Source } from "./feed";
import { type Figures, figuresOf, figuresOfBrief } from "./figures";
import { Timeline } from "./timeline";
import type { Sample } from "./wire";

export interface Raw extends Source {
  text: string;
  at: number;
}

export interface ShownOptions {
  spanMs: () => number;
  /** The longest distance between two samples without a hole. */
  patienceMs: () => number;
  /** Whether samples are the server's own. */
  isServer: () => boolean;
  onArrival: () => void;
  /** Samples are missing between the last one and this one. */
  onHole: () => void;
}

/** What a sample's time is beside the newest one's: more than late, a clock went back. */
function orderOf(taken: number, newest: number, patienceMs: number): "newer" | "late" | "back" {
  if (taken > newest) return "newer";
  return newest - taken > patienceMs ? "back" : "late";
}

export function makeShown(options: ShownOptions) {
  const now = useNow();
  const sample = shallowRef<Sample | null>(null);
  const figures = shallowRef<Figures>(new Map());
  /** When the newest sample came, on our clock. */
  const sampleAt = ref<number | null>(null);
  /** When it was taken, on our clock. */
  const takenAt = ref<number | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const raw = shallowRef<Raw | null>(null);
  const timeline = shallowRef(markRaw(new Timeline(options.spanMs())));
  /** Moves when a chart has something new to draw. */
  const drawn = ref(0);
  const ageMs = computed(() => (takenAt.value === null ? null : Math.max(0, now.value - takenAt.value)));
  let newest = 0;
  let drawnOf = "";

  /** Replaces what is drawn; `what` says of which span and host it is. */
  function draw(next: Timeline, what: string): void {
    timeline.value = next;
    drawnOf = what;
    drawn.value += 1;
  }

  /** Whether what is drawn is of that span and host: an answer that fails need not take it away. */
  const draws = (what: string) => drawnOf === what;

  function note(time: string, next: Figures): void {
    const taken = Date.parse(time);
    const order = orderOf(taken, newest, options.patienceMs());
    if (order === "back") options.onHole();
    // History that was just read may end before a sample that is shown already: whether it is drawn is for
    // the timeline to say.
    if (timeline.value.isLate(taken, options.patienceMs())) options.onHole();
    if (timeline.value.push(taken, next, options.patienceMs())) drawn.value += 1;
    if (order === "late") return;
    newest = taken;
    // Another machine's clock says nothing about the server's.
    if (options.isServer()) serverSkew.observe(time, Date.now());
    figures.value = next;
    sampleAt.value = Date.now();
    takenAt.value = serverSkew.local(time);
    error.value = null;
    options.onArrival();
  }

  function take(next: Sample, text: string, from: Source): void {
    raw.value = { ...from, text, at: Date.now() };
    sample.value = next;
    note(next.time, figuresOf(next));
  }

  function takeBrief(time: string, values: unknown[], from: Source): void {
    raw.value = { ...from, text: "", at: Date.now() };
    note(time, figuresOfBrief(values));
  }

  function nothing(from: Source): void {
    if (raw.value) raw.value = { ...raw.value, ...from, at: Date.now() };
    error.value = null;
  }

  function fail(message: string, status: number): void {
    error.value = new ApiError(status === 0 ? "network" : "http", status, message);
  }

  /** Another host: nothing of the one before is shown. */
  function clear(): void {
    newest = 0;
    figures.value = new Map();
    for (const one of [sample, sampleAt, takenAt, raw, error]) one.value = null;
  }

  const state = { sample, figures, sampleAt, takenAt, ageMs, error, raw, timeline, drawn };
  return { state, draw, draws, take, takeBrief, nothing, fail, clear };
}
