/** What the pipeline's API and events look like (docs/http-api.md, section Pipeline). */

export const RECORD_STATUSES = ["RECEIVED", "PROCESSING", "PROCESSED", "FAILED"] as const;
export type RecordStatus = (typeof RECORD_STATUSES)[number];

export interface Place {
  topic: string;
  partition: number;
  offset: string;
}

/** A record on its way, as the list shows it. */
export interface LogEntry extends Place {
  logId: string;
  dataType: "SINGLE_MESSAGE" | "CSV_BATCH";
  rowCount: number;
  status: RecordStatus;
  error: string | null;
  consumerId: string | null;
  attempts: number;
  receivedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  deadLetter: Place | null;
}

export interface LogList {
  cursor: string;
  logs: LogEntry[];
}

export interface Statistics {
  totalMessages: number;
  processedMessages: number;
  failedMessages: number;
  activeConsumers: number;
  timestamp: string;
}

export interface Consumer {
  consumerId: string;
  status: "ACTIVE" | "INACTIVE";
  group: string;
  partitions: { topic: string; partition: number }[];
  processed: number;
  failed: number;
  error: string | null;
}

export interface PartitionLag {
  topic: string;
  partition: number;
  begin: string;
  end: string;
  /** Null when the group never committed. */
  committed: string | null;
  messages: number | null;
  seconds: number | null;
  consumerId: string | null;
}

export interface PipelineState {
  broker: { kind: string; state: "UP" | "AWAY"; reason: string | null; since: string | null };
  group: string;
  lag: PartitionLag[];
}

/** Bytes for people: a text where they are one. */
export interface Shown {
  text?: string;
  base64?: string;
  bytes: number;
  truncated: boolean;
}

export interface RecordContent {
  key: Shown | null;
  /** A header without a value is not one with an empty value. */
  headers: { name: string; value: Shown | null }[];
  value: Shown | null;
  timestamp: string;
}

export interface RecordDetail {
  log: LogEntry;
  record: RecordContent | null;
}

export interface Topics {
  kind: string;
  topics: { topic: string; partitions: number; consumed: boolean }[];
}
