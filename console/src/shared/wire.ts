/** The shapes of the API: its generated types, under the names that the console has for them. */
import type * as api from "anywire/api";

export const TRANSPORTS = ["websocket", "sse", "longpoll", "poll"] as const satisfies readonly api.Transport[];
export type Transport = (typeof TRANSPORTS)[number];
/** What the server serves: the console's own ladder, and clients of Socket.IO. */
export const SERVED = [...TRANSPORTS, "socketio"] as const satisfies readonly api.Transport[];

export type Percentiles = api.Quantiles;
export type OverviewSample = api.Overview;
export type Health = api.Health;
export type DeliveryClient = api.Client;
export type ConnectedNamespace = api.Namespace;
export type DeliveryClients = api.Clients;
export type LabState = api.Lab;
export type Me = api.Me;

export const JOB_STATUSES = [
  "queued",
  "running",
  "succeeded",
  "failed",
  "cancelled",
  "interrupted",
] as const satisfies readonly api.Status[];
export type JobStatus = api.Status;

export const JOB_KINDS = ["progress", "report", "command", "video"] as const satisfies readonly api.Kind[];
export type JobKind = api.Kind;

export type JobStep = api.Step;
export type JobError = api.JobError;
export type JobCommand = api.JobCommand;
export type Artefact = api.Artefact;
export type LogLine = api.LogLine;
export type JobLog = api.Log;
export type VideoResult = api.Video;
export type Command = api.Command;
export type Commands = api.Commands;
export type RunCommand = api.RunCommand;

/** What the metadata of an upload's job holds. */
export interface UploadMetadata {
  id: string;
  filename: string;
  size_bytes: number;
  received_bytes: number;
}

/** What comes out of a report or a video; other jobs have results of their own. */
export interface JobResult {
  video?: VideoResult;
  report_url?: string;
  rows?: number;
  columns?: number;
  size_bytes?: number;
  sha256?: string;
  duration_ms?: number;
}

/** A job, with what the server's own kinds of jobs keep where any JSON may be. */
export type JobState = Omit<api.Job, "metadata" | "result"> & {
  readonly metadata: { upload?: UploadMetadata; [key: string]: unknown };
  readonly result: JobResult | null;
};

export interface JobList {
  jobs: JobState[];
  cursor: string;
}

/** `job_changed` on the channel `system_status`. */
export type JobChanged = Pick<JobState, "session_id" | "title" | "status" | "percent" | "step_name" | "updated_at">;

/** A job in one of these states can't change by itself any more. */
export function isFinal(status: JobStatus): boolean {
  return status !== "queued" && status !== "running";
}
