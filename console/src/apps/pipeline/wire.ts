/** The shapes of the API, "Pipeline": its generated types, under the console's own names. */
import type * as api from "anywire/api";

export const RECORD_STATUSES = [
  "RECEIVED",
  "PROCESSING",
  "PROCESSED",
  "FAILED",
] as const satisfies readonly api.RecordStatus[];
export type RecordStatus = api.RecordStatus;

export type Place = api.Place;
/** A record on its way, as the list shows it. */
export type LogEntry = api.LogEntry;
export type LogList = api.LogEntries;
export type Statistics = api.Statistics;
export type Consumer = api.Consumer;
export type PartitionLag = api.PartitionLag;
export type PipelineState = api.PipelineState;
export type TopicNotice = api.TopicNotice;
/** Bytes for people: a text where they are one. */
export type Shown = api.ShownBytes;
export type RecordContent = api.RecordContent;
export type RecordDetail = api.RecordDetail;
export type Topics = api.Topics;
