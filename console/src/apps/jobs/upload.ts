/**
 * One upload over tus, from a file to the last accepted byte.
 *
 * Invariants:
 * - the job's id is known before the first request (`session_id` in the metadata), so the page can follow it
 *   from the start;
 * - an upload that was cut off goes on from the last byte the server has, also after the page was loaded
 *   again (tus keeps the address under the file's fingerprint);
 * - only a refusal that would be the same next time, or a person, ends it.
 */

import type { DetailedError, Upload, UploadOptions } from "tus-js-client";
import { type ApiError, errorOf, parseJson } from "@/shared/api";
import { newId } from "@/shared/ids";
import {
  CHUNK_BYTES,
  mayPass,
  nextPhase,
  RETRY_DELAYS_MS,
  SLOW_RETRY_MS,
  STALL_MS,
  type UploadEvent,
  type UploadPhase,
} from "./uploadRules";

export interface UploadView {
  sessionId: string;
  filename: string;
  sent: number;
  total: number;
  phase: UploadPhase;
  resumedFrom: number | null;
  /**
   * The server knows the upload, and so its job. A refused one never will; then it is the page's to say so.
   */
  exists: boolean;
  message: string | null;
  /** Why the server took none of it. */
  refusal: ApiError | null;
}

export interface BegunUpload {
  sessionId: string;
  url: string;
}

export class UploadTask {
  view: UploadView;
  readonly #file: File;
  readonly #changed: (view: UploadView) => void;
  #upload: Upload | null = null;
  #slowTimer: ReturnType<typeof setTimeout> | null = null;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;
  #previousKey: string | null = null;
  /** The next accepted chunk is the first one since the upload began or went on. */
  #isFresh = true;
  readonly #begun: BegunUpload | null;

  /**
   * `begun` is an upload that the server already has a part of; without it tus looks whether this browser
   * began one.
   */
  constructor(file: File, begun: BegunUpload | null, changed: (view: UploadView) => void) {
    const sessionId = begun?.sessionId ?? newId();
    this.#file = file;
    this.#begun = begun;
    this.#changed = changed;
    this.view = {
      sessionId,
      filename: file.name,
      sent: 0,
      total: file.size,
      phase: "sending",
      resumedFrom: null,
      exists: begun !== null,
      message: null,
      refusal: null,
    };
  }

  /**
   * Finds out whether this file was begun before, and begins or goes on. Returns the job's id, which is then
   * the earlier one.
   */
  async start(): Promise<string> {
    const tus = await import("tus-js-client");
    const upload = new tus.Upload(this.#file, this.#options());
    this.#upload = upload;
    if (this.#begun) upload.url = this.#begun.url;
    else await this.#goOnFromPrevious(upload);
    window.addEventListener("online", this.#onOnline);
    window.addEventListener("offline", this.#onOffline);
    upload.start();
    this.#armStall();
    this.#apply({ kind: "resumed" });
    return this.view.sessionId;
  }

  async #goOnFromPrevious(upload: Upload): Promise<void> {
    const previous = (await upload.findPreviousUploads()).filter((candidate) => candidate.uploadUrl).at(-1);
    if (!previous) return;
    upload.resumeFromPreviousUpload(previous);
    this.#previousKey = previous.urlStorageKey;
    const sessionId = previous.metadata.session_id;
    if (!sessionId) return;
    upload.options.metadata = { ...upload.options.metadata, session_id: sessionId };
    this.view = { ...this.view, sessionId, exists: true };
  }

  /** Tries again now. */
  resume(): void {
    if (this.view.phase === "done" || this.view.phase === "stopped") return;
    this.#apply({ kind: "resumed" }, { message: null });
    this.#restart();
  }

  /** Ends the upload for good and forgets where it was. */
  async stop(): Promise<void> {
    this.#apply({ kind: "stopped" });
    this.#release();
    await this.#upload?.abort(false).catch(() => undefined);
    await this.#forget();
  }

  readonly #onOnline = (): void => {
    if (this.view.phase === "waiting") this.resume();
  };

  readonly #onOffline = (): void => {
    if (this.view.phase !== "sending") return;
    this.#apply({ kind: "interrupted" });
    void this.#upload?.abort(false).catch(() => undefined);
    this.#armSlow();
  };

  #options(): UploadOptions {
    return {
      endpoint: "/api/uploads",
      chunkSize: CHUNK_BYTES,
      retryDelays: [...RETRY_DELAYS_MS],
      removeFingerprintOnSuccess: true,
      metadata: { filename: this.#file.name, filetype: this.#file.type || "text/csv", session_id: this.view.sessionId },
      onShouldRetry: (error) => {
        const retry = isWorthARetry(error);
        this.#isFresh = true;
        if (retry) this.#apply({ kind: "interrupted" }, { message: error.message });
        return retry;
      },
      onUploadUrlAvailable: () => {
        this.#armStall();
        this.#change({ exists: true });
      },
      onProgress: (sent) => this.#moved(sent),
      onChunkComplete: (size, accepted) => {
        if (this.#isFresh && accepted > size) this.view = { ...this.view, resumedFrom: accepted - size };
        this.#isFresh = false;
        this.#moved(accepted);
      },
      onAfterResponse: (_request, response) => this.#noteSession(response.getHeader("Anywire-Session")),
      onSuccess: () => this.#finish(),
      onError: (error) => this.#failed(error),
    };
  }

  #noteSession(sessionId: string | undefined): void {
    if (sessionId && sessionId !== this.view.sessionId) this.#change({ sessionId });
  }

  #moved(sent: number): void {
    if (this.view.phase === "stopped") return;
    this.#armStall();
    this.#apply({ kind: "moved" }, { sent, message: null });
  }

  #finish(): void {
    this.#release();
    this.#apply({ kind: "finished" }, { sent: this.view.total, message: null });
  }

  #failed(error: Error | DetailedError): void {
    if (this.view.phase === "stopped") return;
    if (isWorthARetry(error)) {
      this.#apply({ kind: "interrupted" }, { message: error.message });
      this.#armSlow();
    } else {
      this.#release();
      // Else the same file would be refused for ever.
      void this.#forget();
      this.#apply({ kind: "refused" }, { exists: true, refusal: refusalOf(error) });
    }
  }

  #restart(): void {
    this.#clearTimers();
    this.#isFresh = true;
    const upload = this.#upload;
    if (!upload) return;
    // `abort` leaves the address in place, so `start` asks the server how far it got.
    void upload
      .abort(false)
      .catch(() => undefined)
      .then(() => {
        upload.start();
        this.#armStall();
      });
  }

  #armSlow(): void {
    this.#clearTimers();
    this.#slowTimer = setTimeout(() => this.resume(), SLOW_RETRY_MS);
  }

  #armStall(): void {
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer);
    this.#stallTimer = setTimeout(() => {
      if (this.view.phase === "sending" || this.view.phase === "waiting") this.resume();
    }, STALL_MS);
  }

  #clearTimers(): void {
    if (this.#slowTimer !== null) clearTimeout(this.#slowTimer);
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer);
    this.#slowTimer = null;
    this.#stallTimer = null;
  }

  #release(): void {
    this.#clearTimers();
    window.removeEventListener("online", this.#onOnline);
    window.removeEventListener("offline", this.#onOffline);
  }

  async #forget(): Promise<void> {
    const storage = this.#upload?.options.urlStorage;
    const found = (await this.#upload?.findPreviousUploads().catch(() => [])) ?? [];
    const keys = new Set(found.map((previous) => previous.urlStorageKey));
    if (this.#previousKey) keys.add(this.#previousKey);
    for (const key of keys) await storage?.removeUpload(key);
  }

  #apply(event: UploadEvent, change: Partial<UploadView> = {}): void {
    this.#change({ ...change, phase: nextPhase(this.view.phase, event) });
  }

  #change(change: Partial<UploadView>): void {
    this.view = { ...this.view, ...change };
    this.#changed(this.view);
  }
}

function statusOf(error: Error | DetailedError): number {
  return "originalResponse" in error ? (error.originalResponse?.getStatus() ?? 0) : 0;
}

function isWorthARetry(error: Error | DetailedError): boolean {
  const status = statusOf(error);
  // A chunk at the wrong offset passes after a look at the server; a job that exists already does not.
  if (status === 409 && "originalRequest" in error && error.originalRequest.getMethod() === "POST") return false;
  return mayPass(status);
}

function refusalOf(error: Error | DetailedError): ApiError {
  const body = "originalResponse" in error ? (error.originalResponse?.getBody() ?? "") : "";
  return errorOf(statusOf(error), parseJson(body), body === "" ? error.message : body);
}
