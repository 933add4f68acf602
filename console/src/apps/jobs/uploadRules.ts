/**
 * When an upload tries again, and how long it waits.
 *
 * Pure. An upload never gives up by itself while the cause may pass: the tus client's own retries come first
 * ({@link RETRY_DELAYS_MS}, counted afresh whenever bytes were accepted), then a slow beat, and at once when
 * the browser is online again.
 */

export const CHUNK_BYTES = 2 * 1024 * 1024;
export const RETRY_DELAYS_MS = [0, 1000, 2000, 4000, 8000, 16_000] as const;
/** After the tus client's own retries. */
export const SLOW_RETRY_MS = 15_000;
/** No byte moved for this long: the connection is dead even if nobody said so. */
export const STALL_MS = 20_000;

/** Whether an answer with this status (0: none came) may be different next time. */
export function mayPass(status: number): boolean {
  if (status === 0 || status === 408 || status === 409 || status === 423 || status === 425 || status === 429)
    return true;
  return status >= 500;
}

export type UploadPhase = "sending" | "waiting" | "stopped" | "done" | "failed";

export type UploadEvent =
  | { kind: "moved" }
  | { kind: "interrupted" }
  | { kind: "refused" }
  | { kind: "resumed" }
  | { kind: "stopped" }
  | { kind: "finished" };

/**
 * ```text
 * sending ──interrupted──▶ waiting ──moved / resumed──▶ sending
 *    │                        │
 *    ├── finished ▶ done      └── stopped ▶ stopped
 *    ├── refused  ▶ failed
 *    └── stopped  ▶ stopped
 * ```
 * `done`, `failed` and `stopped` are final, except that a person may resume a failed one.
 */
export function nextPhase(phase: UploadPhase, event: UploadEvent): UploadPhase {
  if (phase === "done" || phase === "stopped") return phase;
  if (phase === "failed") return event.kind === "resumed" ? "sending" : phase;
  switch (event.kind) {
    case "moved":
    case "resumed":
      return "sending";
    case "interrupted":
      return "waiting";
    case "refused":
      return "failed";
    case "stopped":
      return "stopped";
    case "finished":
      return "done";
  }
}

/** Refuses what can't be a CSV before a byte is sent; null if it may be one. */
export function refusal(file: { name: string; size: number }): "empty" | "kind" | null {
  if (file.size === 0) return "empty";
  return /\.(csv|tsv|txt)$/i.test(file.name) ? null : "kind";
}
