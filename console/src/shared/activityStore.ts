/**
 * Recent activity: jobs that changed (`system_status`) and what happened to this page's own connection,
 * newest first.
 */
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api } from "./api";
import { useLive } from "./liveStore";
import type { JobChanged, JobList, JobStatus } from "./wire";

export interface JobActivity {
  key: string;
  at: number;
  sessionId: string;
  title: string;
  status: JobStatus;
}

const ITEMS_MAX = 40;
const LOADED = 15;

export const useActivity = defineStore("activity", () => {
  const live = useLive();
  const jobs = ref<JobActivity[]>([]);
  const loaded = ref(false);
  const listeners = new Set<(change: JobChanged) => void>();
  let started = false;

  function add(change: JobChanged): void {
    const key = `${change.session_id} ${change.status} ${change.updated_at}`;
    if (jobs.value.some((item) => item.key === key)) return;
    const item = {
      key,
      at: Date.parse(change.updated_at),
      sessionId: change.session_id,
      title: change.title,
      status: change.status,
    };
    jobs.value = [item, ...jobs.value].sort((a, b) => b.at - a.at).slice(0, ITEMS_MAX);
  }

  function tell(change: JobChanged): void {
    add(change);
    for (const listener of listeners) listener(change);
  }

  /** The newest jobs, and the cursor from which their changes follow. */
  async function newest(): Promise<JobList | null> {
    try {
      return await api.jobs({ limit: LOADED });
    } catch {
      // Without the list the activity begins now.
      return null;
    }
  }

  async function start(): Promise<void> {
    if (started) return;
    started = true;
    const list = await newest();
    for (const job of list?.jobs ?? []) add(job);
    loaded.value = true;
    live.follow({
      channel: "system_status",
      after: list?.cursor,
      onEvent: (event) => {
        if (event.event === "job_changed") tell(event.data as JobChanged);
      },
      onGap: async () => {
        for (const job of (await newest())?.jobs ?? []) tell(job);
      },
    });
  }

  /** Calls `listener` at each change of a job's status, until the returned function is called. */
  function onJobChanged(listener: (change: JobChanged) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  const connection = computed(() => live.changes);

  return { jobs, loaded, connection, start, onJobChanged };
});
