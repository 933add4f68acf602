/**
 * The arithmetic of one job on the page: one bar over bytes and steps, and the rows of its step list.
 *
 * Pure: no clock, no network. The server's percentage is over the whole (bytes 0 to 50, steps 50 to 100);
 * while this page itself sends the bytes it knows more than the server's last event, so the larger of the two
 * wins.
 */
import { distance } from "@/shared/cursor";
import type { LiveEvent } from "@/shared/live";
import type { JobState, JobStatus, JobStep } from "@/shared/wire";
import { REPORT_STEPS, VIDEO_STEPS } from "./reportSteps";

export interface LocalBytes {
  sent: number;
  total: number;
}

/** The share of the bar that belongs to bytes. */
const BYTES_SHARE = 50;

export function combinedPercent(state: JobState | null, local: LocalBytes | null): number {
  if (state?.status === "succeeded") return 100;
  const fromServer = clamp(state?.percent ?? 0);
  if (!local || (state && (state.step > 1 || state.status !== "running"))) return fromServer;
  const share = local.total === 0 ? BYTES_SHARE : (Math.min(local.sent, local.total) / local.total) * BYTES_SHARE;
  return Math.max(fromServer, share);
}

/**
 * Holds a bar from running backwards within one run: a resumed chunk is sent again from its last accepted
 * byte. A new run (a retry) starts afresh.
 */
export class ForwardOnly {
  #percent = 0;
  #run = "";

  next(percent: number, run: string): number {
    if (run !== this.#run) {
      this.#run = run;
      this.#percent = percent;
    }
    this.#percent = Math.max(this.#percent, percent);
    return this.#percent;
  }
}

export type RowState = "pending" | "running" | "done" | "failed" | "stopped";

export interface StepRow {
  index: number;
  name: string;
  state: RowState;
  /** Null while it has not begun. A running step's duration is measured at `now`. */
  durationMs: number | null;
}

/** Of more steps than this the list shows a window around the current one. */
const ROWS_MAX = 100;
/** How many of these are still to come. */
const ROWS_AHEAD = 10;

/**
 * All rows of the list, those to come included, so that the list has its full height from the start; of very
 * many those around the current one.
 *
 * `now` must be on the server's clock.
 */
export function stepRows(state: JobState, now: number): StepRow[] {
  const byIndex = new Map<number, JobStep>();
  // After a retry the same index may come again: the later one counts.
  for (const step of state.steps) byIndex.set(step.index, step);
  const count = Math.max(state.total_steps, state.step, state.steps.at(-1)?.index ?? 0);
  const last = count <= ROWS_MAX ? count : Math.min(count, Math.max(ROWS_MAX, state.step + ROWS_AHEAD));
  const rows: StepRow[] = [];
  for (let index = Math.max(1, last - ROWS_MAX + 1); index <= last; index += 1)
    rows.push(rowOf(state, byIndex.get(index), index, now));
  return rows;
}

function rowOf(state: JobState, step: JobStep | undefined, index: number, now: number): StepRow {
  const name = step?.name ?? nameToCome(state, index);
  // A number that was passed over: whoever counts has done it all the same.
  if (!step && index < state.step) return { index, name, state: "done", durationMs: null };
  if (!step?.started_at) return { index, name, state: "pending", durationMs: null };
  const finished = step.duration_ms !== null && step.duration_ms !== undefined;
  const rowState = stateOf(state.status, finished, index === state.step);
  if (finished) return { index, name, state: rowState, durationMs: step.duration_ms };
  const end = rowState === "running" ? now : Date.parse(state.updated_at);
  return { index, name, state: rowState, durationMs: Math.max(0, end - Date.parse(step.started_at)) };
}

function stateOf(status: JobStatus, finished: boolean, current: boolean): RowState {
  if (current && status === "failed") return "failed";
  if (current && (status === "cancelled" || status === "interrupted")) return "stopped";
  if (finished || status === "succeeded") return "done";
  return status === "running" ? "running" : "stopped";
}

function nameToCome(state: JobState, index: number): string {
  if (state.kind === "video") return VIDEO_STEPS[index - 1] ?? "";
  const isReport = state.metadata?.upload !== undefined || state.kind === "report";
  return (isReport ? REPORT_STEPS[index - 1] : undefined) ?? "";
}

/** Whether the upload of this job still lacks bytes and nobody here is sending them. */
export function awaitsBytes(state: JobState): boolean {
  const upload = state.metadata?.upload;
  if (!upload || upload.received_bytes >= upload.size_bytes) return false;
  return state.status === "running" || state.status === "interrupted";
}

/**
 * Whether `next` may replace `shown`: states travel by two ways (a request and the channel), and the older
 * one may arrive later. Offsets are compared, never clocks.
 */
export function isNewer(next: JobState, shown: JobState | null): boolean {
  if (!shown || shown.session_id !== next.session_id) return true;
  return (distance(next.cursor, shown.cursor) ?? 0) >= 0;
}

/** The state that an event carries. Its cursor is the event's: inside the event it can't be known. */
export function stateOfEvent(event: LiveEvent): JobState | null {
  if (event.event !== "progress_update") return null;
  return { ...(event.data as JobState), cursor: event.cursor };
}

function clamp(percent: number): number {
  return Math.min(100, Math.max(0, Number.isFinite(percent) ? percent : 0));
}

/** What went wrong, without the place that begins the server's message; the place has fields of its own. */
export function withoutPlace(error: JobState["error"] | undefined): string {
  const message = error?.message ?? "";
  return error?.line == null ? message : message.replace(/^line \d+(, column \d+)?: /, "");
}
