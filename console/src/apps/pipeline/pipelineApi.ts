/** The pipeline's part of the HTTP API. */
import { ApiError, request } from "@/shared/api";
import type { Consumer, LogEntry, LogList, PipelineState, Place, RecordDetail, Statistics, Topics } from "./wire";

/** As many as the list holds. */
const LIST_MAX = 10_000;
const FILE_TIMEOUT_MS = 10 * 60_000;
/**
 * Longer than the server waits for its broker: then it says that the broker is away, which is more than that
 * nothing came.
 */
const BROKER_TIMEOUT_MS = 30_000;
const log = (id: string) => `/api/consumers/logs/${encodeURIComponent(id)}`;

export interface FileSent {
  rowCount: number;
  batches: number;
}

export const pipelineApi = {
  logs: () => request<LogList>(`/api/consumers/logs?limit=${LIST_MAX}`),
  statistics: () => request<Statistics>("/api/consumers/statistics"),
  consumers: () => request<Consumer[]>("/api/consumers"),
  state: () => request<PipelineState>("/api/consumers/lag"),
  topics: () => request<Topics>("/api/producers/topics"),
  record: (id: string) => request<RecordDetail>(log(id), { timeoutMs: BROKER_TIMEOUT_MS }),
  retry: (id: string) => request<LogEntry>(`${log(id)}/retry`, { method: "POST", timeoutMs: 60_000 }),
  replay: (id: string) =>
    request<{ record: Place }>(`${log(id)}/replay`, { method: "POST", timeoutMs: BROKER_TIMEOUT_MS }),
  start: (consumerId?: string) =>
    request<Consumer>("/api/consumers", { method: "POST", body: consumerId ? { consumerId } : {} }),
  scale: (count: number) =>
    request<Consumer[]>("/api/consumers/scale", { method: "POST", body: { count }, timeoutMs: 60_000 }),
  stop: (id: string) =>
    request<unknown>(`/api/consumers/${encodeURIComponent(id)}`, { method: "DELETE", timeoutMs: 60_000 }),
  /** Sends a value as it was typed. */
  send: (topic: string, key: string, json: string) =>
    request<{ record: Place }>(`/api/producers/send/single?${target(topic, key)}`, {
      method: "POST",
      json,
      timeoutMs: BROKER_TIMEOUT_MS,
    }),
  sendFile,
};

function target(topic: string, key: string): URLSearchParams {
  const parameters = new URLSearchParams({ topic });
  if (key !== "") parameters.set("key", key);
  return parameters;
}

/** A file goes as it is: it may be larger than memory. */
async function sendFile(topic: string, file: Blob): Promise<FileSent> {
  const response = await fetch(`/api/producers/send/csv?${target(topic, "")}`, {
    method: "POST",
    body: file,
    headers: { "Content-Type": "text/csv" },
    signal: AbortSignal.timeout(FILE_TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw new ApiError("network", 0, String(cause));
  });
  const body = (await response.json().catch(() => null)) as (FileSent & { code?: string; message?: string }) | null;
  if (response.ok && body) return body;
  throw new ApiError(body?.code ?? "http", response.status, body?.message ?? response.statusText);
}
