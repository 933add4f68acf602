/**
 * Requests to the same-origin HTTP API.
 *
 * Invariants:
 * - every failure is an {@link ApiError} with a `code`, also when nothing answered (`network`) or nothing
 *   answered in time (`timeout`);
 * - no request waits for ever.
 */
import type {
  Commands,
  DeliveryClients,
  Health,
  JobList,
  JobLog,
  JobState,
  LabState,
  OverviewSample,
  RunCommand,
} from "./wire";

const TIMEOUT_MS = 10_000;

export class ApiError extends Error {
  readonly code: string;
  /** The HTTP status, or 0 when there was no answer. */
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }

  /** Whether the same request may succeed later without anybody changing it. */
  get transient(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export interface RequestOptions {
  method?: string;
  body?: unknown;
  /** JSON that goes as it was typed, in the place of a `body`. */
  json?: string;
  headers?: Record<string, string>;
  timeoutMs?: number;
  /** Statuses besides 2xx whose body is an answer and not an error. */
  accept?: number[];
}

let unauthorized: () => void = () => undefined;

/** Who hears that an answer was 401: a session may have ended. */
export function whenUnauthorized(listener: () => void): void {
  unauthorized = listener;
}

export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  return parseJson(await requestText(path, options)) as T;
}

/** An answer as the text that came. */
export async function requestText(path: string, options: RequestOptions = {}): Promise<string> {
  const response = await send(path, options);
  const text = await response.text().catch(() => "");
  if (response.ok || options.accept?.includes(response.status)) return text;
  if (response.status === 401) unauthorized();
  throw errorOf(response.status, parseJson(text), text);
}

async function send(path: string, options: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  const init: RequestInit = { method: options.method ?? "GET", headers, cache: "no-store" };
  const body = options.json ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = body;
  }
  init.signal = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  try {
    return await fetch(path, init);
  } catch (cause) {
    const timedOut = cause instanceof DOMException && cause.name === "TimeoutError";
    throw new ApiError(timedOut ? "timeout" : "network", 0, cause instanceof Error ? cause.message : String(cause));
  }
}

export function parseJson(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The error that an answer with this status and body is. */
export function errorOf(status: number, body: unknown, text: string): ApiError {
  if (typeof body === "object" && body !== null && "code" in body && "message" in body) {
    return new ApiError(String(body.code), status, String(body.message));
  }
  // A proxy in between answers in its own words.
  return new ApiError(status >= 502 && status <= 504 ? "unreachable" : "http", status, text.slice(0, 200).trim());
}

const job = (id: string) => `/api/progress/${encodeURIComponent(id)}`;

export const api = {
  health: () => request<Health>("/api/health", { accept: [503] }),
  overview: () => request<OverviewSample>("/api/overview"),
  clients: (limit = 200) => request<DeliveryClients>(`/api/delivery/clients?limit=${limit}`, { timeoutMs: 5000 }),
  lab: () => request<LabState>("/api/lab", { timeoutMs: 4000 }),
  setLab: (change: { block_websocket?: boolean; buffer_sse?: boolean; cut_ms?: number }) =>
    request<LabState>("/api/lab", { method: "POST", body: change, timeoutMs: 4000 }),
  restart: () => request<unknown>("/api/lab/restart", { method: "POST", timeoutMs: 4000 }),
  job: (id: string) => request<JobState>(job(id)),
  jobs: (query: { state?: string; kind?: string; limit?: number; before?: string }) => {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
    return request<JobList>(`/api/jobs?${parameters}`);
  },
  jobLog: (id: string, after: number) =>
    request<JobLog>(`/api/jobs/${encodeURIComponent(id)}/log?after=${after}&limit=2000`),
  commands: () => request<Commands>("/api/commands"),
  startCommand: (order: RunCommand, key: string) =>
    request<JobState>("/api/commands", { method: "POST", body: order, headers: { "Idempotency-Key": key } }),
  createVideo: (message: string, key: string) =>
    request<{ job_id: string }>("/api/chat/create-video", {
      method: "POST",
      body: { message },
      headers: { "Idempotency-Key": key },
    }),
  retryJob: (id: string) => request<JobState>(`${job(id)}/retry`, { method: "POST" }),
  cancelJob: (id: string) => request<JobState>(`${job(id)}/cancel`, { method: "POST" }),
  deleteJob: (id: string) => request<unknown>(`/api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }),
};
