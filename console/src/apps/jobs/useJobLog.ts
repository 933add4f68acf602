/**
 * The output of one job: what there is already by request, what comes by its channel, from the cursor of the
 * answer on.
 *
 * A retry begins a new output: lines of another attempt are never mixed.
 */
import { onScopeDispose, type Ref, ref, shallowRef, watch } from "vue";
import { ApiError, api } from "@/shared/api";
import type { LiveEvent } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import type { LogLine } from "@/shared/wire";
import { firstHole, LINES_MAX, mergeLines } from "./jobLog";

const RETRY_MS = 2000;

interface Bundle {
  attempt: number;
  cut: number;
  lines: LogLine[];
}

export function useJobLog(id: Ref<string>, attempt: Ref<number>, ended: Ref<boolean>) {
  const live = useLive();
  const lines = shallowRef<readonly LogLine[]>([]);
  const loaded = ref(false);
  const error = shallowRef<ApiError | null>(null);
  let release: (() => void) | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn = 0;

  async function load(from = lines.value.at(-1)?.n ?? 0): Promise<void> {
    clearTimeout(timer);
    const own = turn;
    try {
      // Page by page: an answer holds so many lines and no more. What would not be kept is passed over.
      for (let after = from; ; ) {
        const page = await api.jobLog(id.value, after);
        if (own !== turn) return;
        if (page.attempt !== attempt.value) return;
        lines.value = mergeLines(lines.value, page.lines);
        follow(page.cursor);
        const last = page.lines.at(-1)?.n;
        if (last === undefined || last >= page.newest) break;
        after = Math.max(last, page.newest - LINES_MAX);
      }
      loaded.value = true;
      error.value = null;
    } catch (cause) {
      if (own !== turn) return;
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
      if (error.value.transient) timer = setTimeout(() => void load(), RETRY_MS);
    }
  }

  function follow(cursor: string): void {
    release ??= live.follow({
      channel: `progress_${id.value}`,
      after: cursor,
      onEvent: take,
      onGap: () => void load(),
    });
  }

  function take(event: LiveEvent): void {
    if (event.event !== "log") return;
    const bundle = event.data as Bundle;
    if (bundle.attempt === attempt.value) lines.value = mergeLines(lines.value, bundle.lines);
  }

  /** What came too fast to be shown live is in the file: once nothing more comes, it is fetched. */
  function fill(): void {
    const before = firstHole(lines.value);
    if (before !== null) void load(Math.max(before, (lines.value.at(-1)?.n ?? 0) - LINES_MAX));
  }

  function stop(): void {
    turn += 1;
    clearTimeout(timer);
    release?.();
    release = null;
  }

  watch(
    [id, attempt],
    () => {
      stop();
      lines.value = [];
      loaded.value = false;
      void load();
    },
    { immediate: true },
  );
  watch(ended, (now) => now && fill());
  onScopeDispose(stop);

  return { lines, loaded, error, load };
}
