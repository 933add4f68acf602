/** The shapes of docs/http-api.md, as the console reads them. */

export const TRANSPORTS = ["websocket", "sse", "longpoll", "poll"] as const;
export type Transport = (typeof TRANSPORTS)[number];
/** What the server serves: the console's own ladder, and clients of Socket.IO. */
export const SERVED = [...TRANSPORTS, "socketio"] as const;

export interface Percentiles {
  p50: number | null;
  p99: number | null;
}

export interface OverviewSample {
  time: string;
  connections: Record<string, number>;
  events_total: number;
  events_per_second: number;
  bytes_per_second: number;
  deliveries_total: number;
  deliveries_per_second: number;
  delivery_latency_ms: Percentiles;
  commit_latency_ms: Percentiles;
  resumes_total: number;
  gaps_total: number;
  slow_readers: number;
  memory_bytes: number;
  tail: string;
}

export interface Health {
  status: string;
  live: boolean;
  ready: boolean;
  version: string;
  epoch: string;
  tail: string | number;
  uptime_s: number;
  storage: { engine: string; state: string; bytes: number };
}

export interface DeliveryClient {
  client: string;
  transport: string;
  address: string;
  user: string | null;
  channels: string[];
  cursor: string | null;
  acked: string | null;
  lag: number;
  state: string;
  connected_at: string;
  resumes: number;
  gaps: number;
  delivered: number;
  bytes: number;
  /** What a Socket.IO client's packets come by. */
  carrier: "websocket" | "polling" | null;
  namespaces: ConnectedNamespace[];
}

export interface ConnectedNamespace {
  name: string;
  socket: string;
  user: string | null;
  rooms: string[];
}

export interface DeliveryClients {
  total: number;
  clients: DeliveryClient[];
}

export interface LabState {
  enabled: boolean;
  block_websocket: boolean;
  buffer_sse: boolean;
  cut_until: string | null;
  restarting: boolean;
}

export const JOB_STATUSES = ["queued", "running", "succeeded", "failed", "cancelled", "interrupted"] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export interface JobStep {
  index: number;
  name: string;
  started_at: string | null;
  duration_ms: number | null;
}

export interface JobError {
  step?: string;
  message: string;
  line?: number;
  column?: number;
}

export interface UploadMetadata {
  id: string;
  filename: string;
  size_bytes: number;
  received_bytes: number;
}

export interface VideoResult {
  url: string;
  duration_s: number;
  size_bytes: number;
  width: number;
  height: number;
  captions_url?: string;
  language?: string;
}

export interface JobResult {
  video?: VideoResult;
  report_url?: string;
  rows?: number;
  columns?: number;
  size_bytes?: number;
  sha256?: string;
  duration_ms?: number;
}

export const JOB_KINDS = ["progress", "report", "command", "video"] as const;
export type JobKind = (typeof JOB_KINDS)[number];

export interface JobCommand {
  order: "configured" | "ad_hoc" | "elsewhere";
  name?: string;
  parameters?: Record<string, string>;
  argv?: string[];
}

/** A file that a command left. */
export interface Artefact {
  name: string;
  size_bytes: number;
  url: string;
}

export interface LogLine {
  n: number;
  at: string;
  stream: "out" | "err";
  text: string;
}

export interface JobLog {
  attempt: number;
  lines: LogLine[];
  newest: number;
  cut: number;
  cursor: string;
}

export interface JobState {
  session_id: string;
  title: string;
  kind?: JobKind;
  attempt?: number;
  /** Its place in the queue while it waits there. */
  queue_position?: number | null;
  command?: JobCommand;
  artefacts?: Artefact[];
  status: JobStatus;
  step: number;
  total_steps: number;
  step_name: string | null;
  percent: number;
  message: string | null;
  metadata: { upload?: UploadMetadata; [key: string]: unknown } | null;
  steps: JobStep[];
  result: JobResult | null;
  error: JobError | null;
  created_at: string;
  updated_at: string;
  cursor: string;
}

export interface JobList {
  jobs: JobState[];
  cursor: string;
}

/** `job_changed` on the channel `system_status`. */
export interface JobChanged {
  session_id: string;
  title: string;
  status: JobStatus;
  percent: number;
  step_name: string | null;
  updated_at: string;
}

/** A job in one of these states can't change by itself any more. */
export function isFinal(status: JobStatus): boolean {
  return status !== "queued" && status !== "running";
}
