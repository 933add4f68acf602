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
import type { JobKind, JobState, JobStatus } from "@/shared/wire";
import { JobFollowers } from "./jobFollowers";
import { isNewer } from "./progress";

const PAGE = 50;
const RETRY_MS = 3000;

/** The list of the Jobs page. */
export const useJobs = defineStore("jobs", () => jobList(""));
/** The videos of the chat. */
export const useVideos = defineStore("videos", () => jobList("video"));

function jobList(firstKind: JobKind | "") {
  const live = useLive();
  const activity = useActivity();
  const all = ref<JobState[]>([]);
  const state = ref<JobStatus | "">("");
  const kind = ref<JobKind | "">(firstKind);
  const loading = ref(false);
  const loaded = ref(false);
  const more = ref(false);
  const error = shallowRef<ApiError | null>(null);
  const followers = new JobFollowers(live.follow, put, (id) => void refresh(id));
  let again: ReturnType<typeof setTimeout> | undefined;
  let stopChanges: (() => void) | null = null;

  const jobs = computed(() => matching(all.value, state.value, kind.value));

  const filters = () => ({ state: state.value || undefined, kind: kind.value || undefined });

  async function load(): Promise<void> {
    clearTimeout(again);
    await fetchPage();
    if (error.value?.transient) again = setTimeout(() => void load(), RETRY_MS);
  }

  async function loadMore(): Promise<void> {
    const last = all.value.at(-1);
    if (last && !loading.value) await fetchPage(last.session_id);
  }

  /** The newest jobs, or those before one. */
  async function fetchPage(before?: string): Promise<void> {
    loading.value = true;
    try {
      const list = await api.jobs({ ...filters(), limit: PAGE, before });
      if (before === undefined) all.value = sorted(list.jobs);
      else for (const job of list.jobs) put(job);
      more.value = list.jobs.length >= PAGE;
      error.value = null;
      loaded.value = true;
      follow();
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
    } finally {
      loading.value = false;
    }
  }

  function put(job: JobState): void {
    const shown = all.value.find((candidate) => candidate.session_id === job.session_id);
    if (shown && !isNewer(job, shown)) return;
    all.value = sorted([job, ...all.value.filter((candidate) => candidate.session_id !== job.session_id)]);
    follow();
  }

  function remove(id: string): void {
    all.value = all.value.filter((job) => job.session_id !== id);
    follow();
  }

  async function refresh(id: string): Promise<void> {
    try {
      put(await api.job(id));
    } catch (cause) {
      if (cause instanceof ApiError && cause.status === 404) remove(id);
    }
  }

  function follow(): void {
    if (stopChanges) followers.update(all.value);
  }

  /** The list is on screen: load it and keep it current. */
  function open(): void {
    stopChanges ??= activity.onJobChanged((change) => void refresh(change.session_id));
    void load();
  }

  function close(): void {
    clearTimeout(again);
    stopChanges?.();
    stopChanges = null;
    followers.update([]);
  }

  return { jobs, state, kind, loading, loaded, more, error, load, loadMore, open, close, put, remove, refresh };
}

function matching(jobs: JobState[], state: JobStatus | "", kind: JobKind | ""): JobState[] {
  const fits = (wanted: string, is: string | undefined) => wanted === "" || wanted === is;
  return jobs.filter((job) => fits(state, job.status) && fits(kind, job.kind));
}

function sorted(jobs: JobState[]): JobState[] {
  return [...jobs].sort(
    (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at) || b.session_id.localeCompare(a.session_id),
  );
}
