/**
 * The list of jobs, kept current: statuses by `system_status`, percentages of what runs by each job's own channel.
 *
 * Invariants:
 * - newest first; a job stands in the list once;
 * - a running job is followed from the cursor of the state that is shown, so no change falls between;
 * - an older state never replaces a newer one ({@link isNewer}).
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { useActivity } from "@/shared/activityStore";
import { ApiError, api } from "@/shared/api";
import { useLive } from "@/shared/liveStore";
import { isFinal, type JobChanged, type JobState, type JobStatus } from "@/shared/types";
import { isNewer } from "./progress";

const PAGE = 50;
/** Channels one page follows at most; the server allows 128 a connection. */
const FOLLOWED_MAX = 40;

export const useJobs = defineStore("jobs", () => {
  const live = useLive();
  const activity = useActivity();
  const all = ref<JobState[]>([]);
  const state = ref<JobStatus | "">("");
  const loading = ref(false);
  const loaded = ref(false);
  const more = ref(false);
  const error = shallowRef<ApiError | null>(null);
  const followed = new Map<string, () => void>();
  let stopChanges: (() => void) | null = null;

  const jobs = computed(() => all.value.filter((job) => state.value === "" || job.status === state.value));

  async function load(): Promise<void> {
    loading.value = true;
    try {
      const list = await api.jobs({ state: state.value || undefined, limit: PAGE });
      all.value = sorted(list.jobs);
      more.value = list.jobs.length >= PAGE;
      error.value = null;
      loaded.value = true;
      followRunning();
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
    } finally {
      loading.value = false;
    }
  }

  async function loadMore(): Promise<void> {
    const last = all.value.at(-1);
    if (!last || loading.value) return;
    loading.value = true;
    try {
      const list = await api.jobs({ state: state.value || undefined, limit: PAGE, before: last.session_id });
      for (const job of list.jobs) put(job);
      more.value = list.jobs.length >= PAGE;
    } catch (cause) {
      if (cause instanceof ApiError) error.value = cause;
    } finally {
      loading.value = false;
    }
  }

  function put(job: JobState): void {
    const shown = all.value.find((candidate) => candidate.session_id === job.session_id);
    if (shown && !isNewer(job, shown)) return;
    all.value = sorted([job, ...all.value.filter((candidate) => candidate.session_id !== job.session_id)]);
    followRunning();
  }

  function remove(id: string): void {
    all.value = all.value.filter((job) => job.session_id !== id);
    followRunning();
  }

  function followRunning(): void {
    if (!stopChanges) return;
    const running = all.value.filter((job) => !isFinal(job.status)).slice(0, FOLLOWED_MAX);
    const wanted = new Set(running.map((job) => job.session_id));
    for (const [id, release] of followed) {
      if (wanted.has(id)) continue;
      followed.delete(id);
      release();
    }
    for (const job of running) {
      if (followed.has(job.session_id)) continue;
      const id = job.session_id;
      const release = live.follow({
        channel: `progress_${id}`,
        after: job.cursor,
        onEvent: (event) => {
          if (event.event === "progress_update") put(event.data as JobState);
        },
        onGap: () => void refresh(id),
      });
      followed.set(id, release);
    }
  }

  async function refresh(id: string): Promise<void> {
    try {
      put(await api.job(id));
    } catch (cause) {
      if (cause instanceof ApiError && cause.status === 404) remove(id);
    }
  }

  function noteChange(change: JobChanged): void {
    void refresh(change.session_id);
  }

  /** The list is on screen: load it and keep it current. */
  function open(): void {
    stopChanges ??= activity.onJobChanged(noteChange);
    void load();
  }

  function close(): void {
    stopChanges?.();
    stopChanges = null;
    for (const release of followed.values()) release();
    followed.clear();
  }

  return { jobs, state, loading, loaded, more, error, load, loadMore, open, close, put, remove };
});

function sorted(jobs: JobState[]): JobState[] {
  return [...jobs].sort(
    (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at) || b.session_id.localeCompare(a.session_id),
  );
}
