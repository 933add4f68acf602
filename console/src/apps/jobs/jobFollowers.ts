/**
 * Follows the channels of the jobs that still change, each from the cursor of the state that is shown, so no
 * change falls between.
 */
import type { Follow } from "@/shared/live";
import { isFinal, type JobState } from "@/shared/wire";
import { stateOfEvent } from "./progress";

/** Channels one page follows at most; the server allows 128 a connection. */
const FOLLOWED_MAX = 40;

export class JobFollowers {
  readonly #follow: (options: Follow) => () => void;
  readonly #onState: (job: JobState) => void;
  readonly #onGap: (id: string) => void;
  readonly #followed = new Map<string, () => void>();

  constructor(follow: (options: Follow) => () => void, onState: (job: JobState) => void, onGap: (id: string) => void) {
    this.#follow = follow;
    this.#onState = onState;
    this.#onGap = onGap;
  }

  /** Follows what runs among `jobs` (newest first) and releases the rest. */
  update(jobs: readonly JobState[]): void {
    const running = jobs.filter((job) => !isFinal(job.status)).slice(0, FOLLOWED_MAX);
    const wanted = new Set(running.map((job) => job.session_id));
    for (const [id, release] of this.#followed) {
      if (wanted.has(id)) continue;
      this.#followed.delete(id);
      release();
    }
    for (const job of running) this.#begin(job);
  }

  #begin(job: JobState): void {
    const id = job.session_id;
    if (this.#followed.has(id)) return;
    const release = this.#follow({
      channel: `progress_${id}`,
      after: job.cursor,
      onEvent: (event) => {
        const state = stateOfEvent(event);
        if (state) this.#onState(state);
      },
      onGap: () => this.#onGap(id),
    });
    this.#followed.set(id, release);
  }
}
