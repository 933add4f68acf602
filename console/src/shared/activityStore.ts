/**
 * Recent activity: jobs that changed (`system_status`) and what happened to this page's own connection, newest first.
 */
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api } from "./api";
import { useLive } from "./liveStore";
import type { JobChanged, JobStatus } from "./types";

export interface JobActivity {
  key: string;
  at: number;
  sessionId: string;
  title: string;
  status: JobStatus;
}

const ITEMS_MAX = 40;

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

  async function start(): Promise<void> {
    if (started) return;
    started = true;
    let after: string | undefined;
    try {
      const list = await api.jobs({ limit: 15 });
      after = list.cursor;
      for (const job of list.jobs) add(job);
    } catch {
      // Without the list the activity begins now.
    }
    loaded.value = true;
    live.follow({
      channel: "system_status",
      after,
      onEvent: (event) => {
        if (event.event !== "job_changed") return;
        const change = event.data as JobChanged;
        add(change);
        for (const listener of listeners) listener(change);
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
