/**
 * The output of one job: what there is already by request, what comes by its channel, from the cursor of the answer on.
 *
 * A retry begins a new output: lines of another attempt are never mixed.
 */
import { onScopeDispose, type Ref, ref, shallowRef, watch } from "vue";
import { ApiError, api } from "@/shared/api";
import type { LiveEvent } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import type { LogLine } from "@/shared/wire";
import { mergeLines } from "./jobLog";

const RETRY_MS = 2000;

interface Bundle {
  attempt: number;
  cut: number;
  lines: LogLine[];
}

export function useJobLog(id: Ref<string>, attempt: Ref<number>) {
  const live = useLive();
  const lines = shallowRef<readonly LogLine[]>([]);
  const loaded = ref(false);
  const error = shallowRef<ApiError | null>(null);
  let release: (() => void) | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let turn = 0;

  async function load(): Promise<void> {
    clearTimeout(timer);
    const own = turn;
    try {
      // From the start, page by page: an answer holds so many lines and no more.
      for (let after = lines.value.at(-1)?.n ?? 0; ; ) {
        const page = await api.jobLog(id.value, after);
        if (own !== turn) return;
        if (page.attempt !== attempt.value) return;
        lines.value = mergeLines(lines.value, page.lines);
        follow(page.cursor);
        const last = page.lines.at(-1)?.n;
        if (last === undefined || last >= page.newest) break;
        after = last;
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
  onScopeDispose(stop);

  return { lines, loaded, error, load };
}
