/**
 * One job, followed from the cursor of its state, so that nothing falls between reading it and subscribing.
 */
import { withSteps } from "anywire/jobs";
import { onScopeDispose, type Ref, ref, shallowRef, watch } from "vue";
import { ApiError, api } from "@/shared/api";
import { useLive } from "@/shared/liveStore";
import type { JobState } from "@/shared/wire";
import { isNewer, stateOfEvent } from "./progress";

const RETRY_MS = 2000;
const SOON_MS = 100;

interface Sources {
  /**
   * False while this page itself is about to create the job: asking for it then would be a 404 for nothing.
   */
  exists?: () => boolean;
  /** What the page before this one knew of it: shown until the server's answer is here. */
  known?: (id: string) => JobState | null;
}

export function useJob(id: Ref<string>, { exists = () => true, known = () => null }: Sources = {}) {
  const live = useLive();
  const job = shallowRef<JobState | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const missing = ref(false);
  let release: (() => void) | null = null;
  let timer: ReturnType<typeof setTimeout> | null = null;
  /**
   * An upload's job appears with its first request, a moment after the page: a 404 is believed only after
   * this time.
   */
  let patientUntil = 0;

  function take(next: JobState): void {
    if (next.session_id === id.value && isNewer(next, job.value)) job.value = withSteps(job.value, next);
  }

  async function load(): Promise<void> {
    const wanted = id.value;
    if (timer !== null) clearTimeout(timer);
    if (!exists()) {
      timer = setTimeout(() => void load(), SOON_MS);
      return;
    }
    try {
      const state = await api.job(wanted);
      if (wanted !== id.value) return;
      take(state);
      error.value = null;
      missing.value = false;
      follow(state);
    } catch (cause) {
      if (wanted === id.value) failed(cause);
    }
  }

  function failed(cause: unknown): void {
    const problem = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
    const wait = problem.status === 404 && Date.now() < patientUntil;
    if (problem.status === 404 && !wait) missing.value = true;
    else if (!wait) error.value = problem;
    if (wait || problem.transient) timer = setTimeout(() => void load(), wait ? 400 : RETRY_MS);
  }

  function follow(state: JobState): void {
    if (release) return;
    release = live.follow({
      channel: `progress_${state.session_id}`,
      after: state.cursor,
      onEvent: (event) => {
        const next = stateOfEvent(event);
        if (next) take(next);
      },
      onGap: () => void load(),
    });
  }

  function stop(): void {
    if (timer !== null) clearTimeout(timer);
    release?.();
    release = null;
  }

  /** The page sends this job's bytes itself: wait for the job to appear. */
  function expect(ms: number): void {
    patientUntil = Date.now() + ms;
    if (missing.value) {
      missing.value = false;
      void load();
    }
  }

  watch(
    id,
    () => {
      stop();
      job.value = known(id.value);
      error.value = null;
      missing.value = false;
      void load();
    },
    { immediate: true },
  );
  onScopeDispose(stop);

  return { job, error, missing, load, take, expect };
}
