/**
 * The list as it is looked at: filtered, perhaps standing still.
 *
 * Invariant: the screen changes at most ten times a second, however much comes.
 */
import { computed, ref, shallowRef } from "vue";
import { type Filter, fits, type PipelineEvent, RecordList } from "./recordList";
import type { LogEntry } from "./wire";

export const RECORDS_MAX = 10_000;
const FRAME_MS = 100;

export function recordsView() {
  const list = new RecordList(RECORDS_MAX);
  const filter = ref<Filter>({ status: "", text: "" });
  /** Counts the changes of the list; what shows it depends on this. */
  const version = ref(0);
  const held = ref(0);
  const frozen = shallowRef<LogEntry[] | null>(null);
  const waiting = ref(0);
  let dirty: ReturnType<typeof setTimeout> | undefined;

  const records = computed(() => {
    const wanted = fits(filter.value);
    if (frozen.value) return frozen.value.filter(wanted);
    return version.value >= 0 ? list.select(wanted) : [];
  });

  function show(): void {
    settleFrame();
    version.value += 1;
    held.value = list.size;
  }

  function settleFrame(): void {
    clearTimeout(dirty);
    dirty = undefined;
  }

  function take(event: PipelineEvent): void {
    const changed = list.apply(event);
    if (changed && frozen.value && event.event === "message-received") waiting.value += 1;
    dirty ??= setTimeout(show, FRAME_MS);
  }

  function load(logs: readonly LogEntry[]): void {
    list.load(logs);
    resume();
    show();
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

  return { filter, version, held, frozen, waiting, records, take, load, pause, resume, put, settleFrame };
}
