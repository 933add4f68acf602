/**
 * The list of jobs, kept current: statuses by `system_status`, percentages of what runs by each job's own
 * channel.
 *
 * Invariants:
 * - newest first; a job stands in the list once;
 * - a running job is followed from the cursor of the state that is shown, so no change falls between;
 * - an older state never replaces a newer one ({@link isNewer}).
 */
import { defineStore } from "pinia";
import { computed, type Ref, ref, shallowRef } from "vue";
import { useActivity } from "@/shared/activityStore";
import { ApiError, api } from "@/shared/api";
import { useLive } from "@/shared/liveStore";
import type { JobKind, JobState, JobStatus } from "@/shared/wire";
import { JobFollowers } from "./jobFollowers";
import { isNewer } from "./progress";

const PAGE = 50;
const RETRY_MS = 3000;
/**
 * How long after it left the screen the list is as good as current: until the page of a job that was clicked
 * is there.
 */
const KNOWN_MS = 1000;

/** The list of the Jobs page. */
export const useJobs = defineStore("jobs", () => jobList(""));
/** The videos of the chat. */
export const useVideos = defineStore("videos", () => jobList("video"));

function jobList(firstKind: JobKind | "") {
  const live = useLive();
  const activity = useActivity();
  const { all, put, remove } = makeRows(() => follow());
  const state = ref<JobStatus | "">("");
  const kind = ref<JobKind | "">(firstKind);
  const loading = ref(false);
  const loaded = ref(false);
  const more = ref(false);
  const error = shallowRef<ApiError | null>(null);
  const followers = new JobFollowers(live.follow, put, (id) => void refresh(id));
  let again: ReturnType<typeof setTimeout> | undefined;
  let stopChanges: (() => void) | null = null;
  const { opened, closed, known } = makeMemory(all);

  const jobs = computed(() => matching(all.value, state.value, kind.value));

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
      const [onlyState, onlyKind] = [state.value || undefined, kind.value || undefined];
      const list = await api.jobs({ state: onlyState, kind: onlyKind, limit: PAGE, before });
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
    opened();
    void load();
  }

  function close(): void {
    clearTimeout(again);
    stopChanges?.();
    stopChanges = null;
    followers.update([]);
    closed();
  }

  return { jobs, state, kind, loading, loaded, more, error, load, loadMore, open, close, known, put, remove, refresh };
}

/** Newest first, each job once. */
function makeRows(follow: () => void) {
  const all = ref<JobState[]>([]);

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

  return { all, put, remove };
}

/** What a list knows of a job; nothing, when that is old. */
function makeMemory(all: Ref<JobState[]>) {
  let oldAt = 0;
  const opened = () => {
    oldAt = Number.POSITIVE_INFINITY;
  };
  const closed = () => {
    oldAt = Date.now() + KNOWN_MS;
  };
  const known = (id: string): JobState | null =>
    (Date.now() < oldAt && all.value.find((job) => job.session_id === id)) || null;
  return { opened, closed, known };
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
