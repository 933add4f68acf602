/**
 * The types of the HTTP API (docs/http-api.md). Generated from crates/server/api/openapi.json: `npm run api`.
 */
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description Lines of a command that runs elsewhere. */
        readonly AddLog: {
            /** @description The number of the first of these lines, counted by the sender from 1: lines that are there already are left out. */
            readonly first?: number | null;
            readonly lines: readonly (string | {
                readonly stream?: ("out" | "err") | null;
                readonly text: string;
            })[];
        };
        /** @description A cursor, or `0` for the oldest kept event. */
        readonly After: components["schemas"]["Cursor"] | "0";
        /** @description One turn of a rule at a host. */
        readonly Alert: {
            readonly at: components["schemas"]["Time"];
            /** @description Why it ended, if not by its figure: that may be as bad as before. */
            readonly ended_by?: ("silence" | "rule" | "forgotten") | null;
            readonly figure: string;
            readonly host: string;
            readonly rule: string;
            /**
             * @description Which side of the threshold is bad. `above`: above it. `below`: below it.
             * @enum {string}
             */
            readonly side: "above" | "below";
            readonly since: components["schemas"]["Time"];
            /**
             * @description `raised` or `cleared`.
             * @enum {string}
             */
            readonly state: "raised" | "cleared";
            readonly threshold: number;
            /** @description What the metric was. */
            readonly value: number;
        };
        /** @description Rules, alerts that stand, and past ones. */
        readonly Alerts: {
            /** @description Those that stand. */
            readonly active: readonly components["schemas"]["Alert"][];
            /** @description The channel of alerts. */
            readonly channel: components["schemas"]["ChannelName"];
            /** @description From here the channel goes on. */
            readonly cursor: components["schemas"]["Cursor"];
            /** @description The newest turns, newest last. */
            readonly recent: readonly components["schemas"]["Alert"][];
            readonly rules: readonly components["schemas"]["Rule"][];
            /** @description Whether turns are posted to `monitor.webhook_url`. */
            readonly webhook: boolean;
        };
        /** @description A program and its arguments. */
        readonly Argv: readonly string[];
        /** @description A file that a command left. */
        readonly Artefact: {
            /** @description Its name, which is also the last part of its path. */
            readonly name: string;
            /** @description Its checksum, once the command has ended. */
            readonly sha256?: string;
            /** @description How long it is. */
            readonly size_bytes: number;
            /** @description Where it is. */
            readonly url: string;
        };
        readonly BrokerState: {
            /**
             * @description `embedded` or `kafka`; empty until it was looked at.
             * @enum {string}
             */
            readonly kind: "embedded" | "kafka" | "";
            readonly reason: string | null;
            /** @description Since when it is in this state. */
            readonly since: components["schemas"]["Time"] | null;
            /**
             * @description Whether it answers; empty until it was asked.
             * @enum {string}
             */
            readonly state: "UP" | "AWAY" | "";
        };
        /** @description A publication whose data is bytes. */
        readonly BytesPublication: {
            readonly channel: components["schemas"]["ChannelName"];
            /** @description The bytes as base64. */
            readonly data: string;
            /**
             * @description How bytes are written into JSON.
             * @enum {string}
             */
            readonly encoding: "base64";
            /** @description What happened. Default `message`. */
            readonly event?: components["schemas"]["EventName"] | null;
        };
        /**
         * @description 1 to 255 bytes of UTF-8 without control characters, white space or commas. Names that begin with `$` belong to the server.
         * @example news
         */
        readonly ChannelName: string;
        /** @description Channels with kept events, in the order of their names. */
        readonly Channels: {
            readonly channels: readonly components["schemas"]["ChannelState"][];
        };
        readonly ChannelState: {
            readonly channel: components["schemas"]["ChannelName"];
            /** @description How many events of it are kept. */
            readonly events: number;
            /** @description The place of its newest event in the log. */
            readonly last_offset: number;
            /** @description How many readers follow it. */
            readonly subscribers: number;
        };
        /** @description What a clean-up removed. */
        readonly Cleaned: {
            readonly events_removed: number;
            readonly jobs_cleaned: number;
        };
        /** @description What is old. */
        readonly CleanUp: {
            /** @description Seconds since the job ended; default `jobs.events_kept_ms`. */
            readonly older_than_s?: number | null;
        };
        /** @description One who is connected. */
        readonly Client: {
            /** @description What its application said it has dealt with. */
            readonly acked: components["schemas"]["Cursor"] | null;
            readonly address: string;
            /** @description Bytes written to it. */
            readonly bytes: number;
            /**
             * @description What carries a Socket.IO client's packets; null for others.
             * @enum {string|null}
             */
            readonly carrier: "websocket" | "polling" | null;
            readonly channels: readonly components["schemas"]["ChannelName"][];
            /** @description The name it gave itself, or one the server made. */
            readonly client: string;
            readonly connected_at: components["schemas"]["Time"];
            readonly cursor: components["schemas"]["Cursor"];
            /** @description Events written to it. */
            readonly delivered: number;
            /** @description Gaps it was told of. */
            readonly gaps: number;
            /** @description Offsets between it and the tail; 0 when it is live. */
            readonly lag: number;
            /** @description A Socket.IO client's namespaces; empty for others. */
            readonly namespaces: readonly components["schemas"]["Namespace"][];
            /** @description Subscriptions that began with a cursor. */
            readonly resumes: number;
            /**
             * @description `blocked`: its socket is full. `waiting`: a long-poll. `polling`: it asks now and then.
             * @enum {string}
             */
            readonly state: "live" | "catching_up" | "blocked" | "waiting" | "polling";
            readonly transport: components["schemas"]["Transport"];
            /** @description The `sub` of its token. */
            readonly user: string | null;
        };
        /** @description Who is connected. */
        readonly Clients: {
            readonly clients: readonly components["schemas"]["Client"][];
            /** @description All there are, listed or not. */
            readonly total: number;
        };
        /** @description What a clock shows: a time in the years 1000 to 2999. */
        readonly ClockTime: string;
        /** @description A command of the configuration. */
        readonly Command: {
            readonly name: string;
            /** @description What a request must give values for. */
            readonly parameters: readonly string[];
            readonly parser: components["schemas"]["Parser"];
            /** @description After this time it is ended. */
            readonly timeout_ms: number;
            readonly title: string;
        };
        /** @description The commands there are. */
        readonly Commands: {
            /** @description Whether a request may bring a command line. */
            readonly adhoc: boolean;
            readonly commands: readonly components["schemas"]["Command"][];
            /** @description How many run at the same time. */
            readonly running_max: number;
        };
        /** @description What came out of a job. */
        readonly CompleteJob: {
            /** @description Any JSON value, at most 64 KiB. */
            readonly result?: unknown;
        };
        /** @description Readers by transport. */
        readonly Connections: {
            /** @description In a poll that waits. */
            readonly longpoll: number;
            /** @description Distinct clients that polled in the last 30 s. */
            readonly poll: number;
            /** @description Over Socket.IO. */
            readonly socketio: number;
            /** @description Over server-sent events. */
            readonly sse: number;
            /** @description Over the native WebSocket. */
            readonly websocket: number;
        };
        /** @description Readers by transport. */
        readonly ConnectionsRequest: {
            /** @description In a poll that waits. */
            readonly longpoll: number;
            /** @description Distinct clients that polled in the last 30 s. */
            readonly poll: number;
            /** @description Over Socket.IO. */
            readonly socketio: number;
            /** @description Over server-sent events. */
            readonly sse: number;
            /** @description Over the native WebSocket. */
            readonly websocket: number;
        };
        /** @description A consumer as the API shows it. */
        readonly Consumer: {
            readonly consumerId: components["schemas"]["ConsumerId"];
            /** @description What keeps it from going on. */
            readonly error: string | null;
            /** @description Records since it started. */
            readonly failed: number;
            readonly group: string;
            readonly partitions: readonly components["schemas"]["ConsumerPartition"][];
            /** @description Records since it started. */
            readonly processed: number;
            /**
             * @description Whether a consumer runs.
             * @enum {string}
             */
            readonly status: "ACTIVE" | "INACTIVE";
        };
        /** @description The name of a consumer: 1 to 64 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`: in an address those are folders, also escaped, and no browser could stop such a consumer. */
        readonly ConsumerId: string;
        /** @description A partition that a consumer reads. */
        readonly ConsumerPartition: {
            readonly partition: number;
            readonly topic: string;
        };
        /** @description How busy the processors were since the last sample. */
        readonly Cpu: {
            /** @description Each core, 0 to 100. */
            readonly cores: readonly number[];
            /** @description All cores together, 0 to 100. */
            readonly percent: number;
        };
        /** @description What a video is to say. */
        readonly CreateVideo: {
            /**
             * @description Default `auto`: looked up in the message.
             * @enum {string|null}
             */
            readonly language?: "auto" | "en" | "vi" | null;
            readonly message: string;
            /** @description Default: a new UUID. */
            readonly session_id?: components["schemas"]["JobId"] | null;
        };
        /**
         * @description "I have seen everything up to here": the log's epoch and an offset. The same text on every transport.
         * @example 1f0c93ab-18
         */
        readonly Cursor: string;
        /**
         * @description What a record holds. `SINGLE_MESSAGE`: one message. `CSV_BATCH`: rows of a CSV file.
         * @enum {string}
         */
        readonly DataType: "SINGLE_MESSAGE" | "CSV_BATCH";
        /** @description What happened in the delivery core since the last look; totals are since its start. */
        readonly DeliveryFigures: {
            /** @description Payload bytes appended a second. */
            readonly bytes_per_second: number;
            /** @description From append to commit. */
            readonly commit_latency_ms: components["schemas"]["Quantiles"];
            /** @description Readers by transport. */
            readonly connections: components["schemas"]["Connections"];
            /** @description Events written to readers a second. */
            readonly deliveries_per_second: number;
            /** @description Events written to readers. */
            readonly deliveries_total: number;
            /** @description From commit to the write to a live reader. */
            readonly delivery_latency_ms: components["schemas"]["Quantiles"];
            /** @description Events appended a second. */
            readonly events_per_second: number;
            /** @description Events appended. */
            readonly events_total: number;
            /** @description Gaps told. */
            readonly gaps_total: number;
            /** @description Subscriptions that began with a cursor. */
            readonly resumes_total: number;
            /** @description Readers whose socket is full, or that are catching up. */
            readonly slow_readers: number;
        };
        /** @description What happened in the delivery core since the last look; totals are since its start. */
        readonly DeliveryFiguresRequest: {
            /** @description Payload bytes appended a second. */
            readonly bytes_per_second: number;
            /** @description From append to commit. */
            readonly commit_latency_ms: components["schemas"]["QuantilesRequest"];
            /** @description Readers by transport. */
            readonly connections: components["schemas"]["ConnectionsRequest"];
            /** @description Events written to readers a second. */
            readonly deliveries_per_second: number;
            /** @description Events written to readers. */
            readonly deliveries_total: number;
            /** @description From commit to the write to a live reader. */
            readonly delivery_latency_ms: components["schemas"]["QuantilesRequest"];
            /** @description Events appended a second. */
            readonly events_per_second: number;
            /** @description Events appended. */
            readonly events_total: number;
            /** @description Gaps told. */
            readonly gaps_total: number;
            /** @description Subscriptions that began with a cursor. */
            readonly resumes_total: number;
            /** @description Readers whose socket is full, or that are catching up. */
            readonly slow_readers: number;
        };
        /** @description A client to be disconnected. */
        readonly Disconnect: {
            /** @description The client's public id in its namespace, from `/api/delivery/clients`. */
            readonly socket: string;
        };
        readonly Disconnected: {
            /** @constant */
            readonly disconnected: true;
        };
        /** @description One file system. */
        readonly Disk: {
            /** @description Where it is mounted. */
            readonly mount: string;
            /** @description Bytes read a second; null until two looks were made. */
            readonly read_per_second: number | null;
            /** @description Its size, in bytes. */
            readonly total: number;
            /** @description What is not available on it, in bytes. */
            readonly used: number;
            /** @description Bytes written a second; null until two looks were made. */
            readonly written_per_second: number | null;
        };
        /** @description One file system. */
        readonly DiskRequest: {
            /** @description Where it is mounted. */
            readonly mount: string;
            /** @description Bytes read a second; null until two looks were made. */
            readonly read_per_second?: number | null;
            /** @description Its size, in bytes. */
            readonly total: number;
            /** @description What is not available on it, in bytes. */
            readonly used: number;
            /** @description Bytes written a second; null until two looks were made. */
            readonly written_per_second?: number | null;
        };
        /** @description An event for one client. */
        readonly Emit: {
            /**
             * @description The event's arguments, any JSON.
             * @default []
             */
            readonly args: readonly unknown[];
            readonly event: components["schemas"]["EventName"];
            /** @description The client's public id in its namespace, from `/api/delivery/clients`. */
            readonly socket: string;
            /**
             * @description How long to wait for the client's answer, in milliseconds; without it none is asked for.
             * @default null
             */
            readonly timeout_ms: number | null;
            /**
             * @description Dropped unless the client can take it at once.
             * @default false
             */
            readonly volatile: boolean;
        };
        readonly Emitted: {
            /** @description What the client said, as it was written. */
            readonly answer: readonly unknown[] | null;
            /** @description Whether the client acknowledged it in time. */
            readonly answered: boolean;
        };
        readonly EndedClients: {
            /** @description How many connections were ended. */
            readonly disconnected: number;
        };
        /** @description Whose connections are to end: one of the three. */
        readonly Ending: {
            /**
             * @description Of a client, by its name in `/api/delivery/clients`.
             * @default null
             */
            readonly client: string;
            /**
             * @description Of a session at the console, by its id.
             * @default null
             */
            readonly session: string;
            /**
             * @description Of a user: the `sub` of a token, or the name of an account.
             * @default null
             */
            readonly user: string;
        };
        readonly Error: {
            /**
             * @description What a program acts on; it never changes.
             * @enum {string}
             */
            readonly code: "answer_gone" | "body_broken" | "broker_away" | "broker_failed" | "busy" | "checksum_mismatch" | "consumer_runs" | "driven_by_command" | "driven_by_upload" | "forbidden" | "head_too_large" | "host_forbidden" | "host_taken" | "idempotency_conflict" | "illegal_transition" | "internal" | "invalid_channel" | "invalid_cursor" | "invalid_event" | "invalid_request" | "job_exists" | "last_admin" | "limit_reached" | "media_type" | "method_not_allowed" | "name_taken" | "no_file" | "no_report" | "no_sample" | "no_upload" | "not_failed" | "not_found" | "offset_conflict" | "origin_forbidden" | "rate_limited" | "record_gone" | "request_timeout" | "shutting_down" | "storage_failed" | "storage_full" | "token_expired" | "too_large" | "too_many_channels" | "too_many_connections" | "too_many_consumers" | "too_many_hosts" | "too_many_jobs" | "too_many_steps" | "too_many_uploads" | "transport_blocked" | "tus_version" | "unauthorized" | "unknown_command" | "unknown_topic" | "upload_locked" | "upload_removed" | "upload_stopped";
            /** @description What a person reads: the thing, its value, and the way out. */
            readonly message: string;
        };
        /** @description One event. */
        readonly Event: {
            readonly channel: components["schemas"]["ChannelName"];
            /** @description What was published. */
            readonly data: unknown;
            /**
             * @description `data` is bytes.
             * @enum {string}
             */
            readonly encoding?: "base64";
            readonly event: components["schemas"]["EventName"];
            /** @description Its place in the log. */
            readonly offset: number;
            readonly time: components["schemas"]["Time"];
        };
        /**
         * @description 1 to 255 bytes of UTF-8 without control characters.
         * @example created
         */
        readonly EventName: string;
        /** @description Why a job failed. */
        readonly FailJob: {
            readonly error: string | {
                /** @description In that line, from 1. */
                readonly column?: number | null;
                /** @description Of the file, from 1. */
                readonly line?: number | null;
                readonly message: string;
                /** @description The step at which it failed. */
                readonly step?: string | null;
            };
        };
        /** @description A file that the broker has. */
        readonly FileSent: {
            /** @description In how many records. */
            readonly batches: number;
            /** @description What stands between its fields: a sign, `tab` or `space`. */
            readonly delimiter: string;
            /** @description The encoding the file was read in. */
            readonly encoding: string;
            /** @description Where the first record is; null of a file without rows. */
            readonly first: components["schemas"]["Place"] | null;
            /** @description The line that names the columns, from 1; what is above it was left out. */
            readonly headerLine: number;
            /** @description Where the last record is. */
            readonly last: components["schemas"]["Place"] | null;
            /** @description How many rows were sent. */
            readonly rowCount: number;
            /** @constant */
            readonly success: true;
            readonly timestamp: components["schemas"]["Time"];
            readonly topic: string;
        };
        /** @description Events that this reader needed and cannot get any more. */
        readonly Gap: {
            readonly channels: readonly components["schemas"]["ChannelName"][];
            readonly from: components["schemas"]["Cursor"];
            /** @description For each channel, the greatest offset that is gone. */
            readonly lost: {
                readonly [key: string]: number;
            };
            /**
             * @description `trimmed`: retention removed events. `damaged`: they cannot be read any more: a file of the log is damaged or missing. `epoch`: the cursor is from another incarnation of the log. `ahead`: the cursor is past the tail.
             * @enum {string}
             */
            readonly reason: "trimmed" | "damaged" | "epoch" | "ahead";
            readonly to: components["schemas"]["Cursor"];
        };
        /** @description How the server is. */
        readonly Health: {
            /** @description The log's incarnation. */
            readonly epoch: string;
            /**
             * @description The process runs.
             * @constant
             */
            readonly live: true;
            /** @description It can be sent work. */
            readonly ready: boolean;
            /** @enum {string} */
            readonly status: "ok" | "degraded";
            readonly storage: {
                /** @description What is stored. */
                readonly bytes: number;
                /** @description `embedded` or `memory`. */
                readonly engine: string;
                /** @description `ok`, or what is wrong. */
                readonly state: string;
            };
            /** @description Where the log ends. */
            readonly tail: components["schemas"]["Cursor"];
            /** @description Seconds since the start. */
            readonly uptime_s: number;
            readonly version: string;
        };
        /** @description Samples after a cursor, or rows over a span. */
        readonly History: components["schemas"]["SamplesAfter"] | components["schemas"]["HistoryRows"];
        /** @description Rows of figures; a row of nulls begins a hole. */
        readonly HistoryRows: {
            readonly cursor: components["schemas"]["Cursor"];
            /** @description What the columns are. The first is `time`, in milliseconds since 1970. */
            readonly fields: readonly string[];
            readonly from: components["schemas"]["Time"];
            readonly host: components["schemas"]["HostName"];
            readonly samples: readonly (readonly (number | null)[])[];
            /** @description The time between two rows, in milliseconds. */
            readonly step_ms: number;
            readonly to: components["schemas"]["Time"];
        };
        /** @description One that reports, with the main figures of its newest sample. */
        readonly Host: {
            /** @description The channel of its samples. */
            readonly channel: components["schemas"]["ChannelName"];
            /** @description All cores together, in percent. */
            readonly cpu: number | null;
            /** @description When the newest sample came, on the server's clock. */
            readonly heard: components["schemas"]["Time"] | null;
            readonly host: components["schemas"]["HostName"];
            /** @description The time between two samples, in milliseconds. */
            readonly interval_ms: number | null;
            /** @description How many machines report under this name: more than one is a mistake. */
            readonly machines: number;
            /** @description In percent. */
            readonly memory: number | null;
            /** @description Whether it is the machine this server runs on. */
            readonly own: boolean;
            /** @description Since when there is history. */
            readonly since: components["schemas"]["Time"] | null;
            /** @description Nothing was heard for two and a half of its intervals. */
            readonly stale: boolean;
            /** @description When the newest sample was made. */
            readonly time: components["schemas"]["Time"] | null;
        };
        /** @description The name of a host: 1 to 64 characters of `A-Z a-z 0-9 . _ -`, and neither `.` nor `..`: in an address those are folders, also escaped, and no browser could ask for such a host. */
        readonly HostName: string;
        /** @description Every host that reports. */
        readonly Hosts: {
            readonly hosts: readonly components["schemas"]["Host"][];
            /** @description The server's clock. */
            readonly now: components["schemas"]["Time"];
        };
        /** @description The newest sample, with its host and the cursor to subscribe from. */
        readonly HostSample: {
            /** @description Processors. */
            readonly cpu: components["schemas"]["Cpu"];
            readonly cursor: components["schemas"]["Cursor"];
            /** @description The delivery core's own metrics; null where no server runs. */
            readonly delivery: components["schemas"]["DeliveryFigures"] | null;
            /** @description File systems. */
            readonly disks: readonly components["schemas"]["Disk"][];
            readonly host: components["schemas"]["HostName"];
            /** @description The time between two samples, in milliseconds. */
            readonly interval_ms: number;
            /** @description Processes that want to run, over 1, 5 and 15 minutes. */
            readonly load: readonly number[];
            /** @description Memory. */
            readonly memory: components["schemas"]["Memory"];
            /** @description What a connection costs, in bytes: growth of the process over its leanest moment without connections. Null below ten connections. */
            readonly memory_per_connection: number | null;
            /** @description Network; null in the first sample. */
            readonly network: components["schemas"]["Network"] | null;
            /** @description The process that made the sample. */
            readonly process: components["schemas"]["Process"];
            /** @description When, in milliseconds since 1970. In JSON for others it is ISO-8601. */
            readonly time: components["schemas"]["Time"];
            /** @description Since the machine's start. */
            readonly uptime_s: number;
        };
        /** @description The state of a job, with the cursor to subscribe from. */
        readonly Job: {
            /** @description The files its command left so far. */
            readonly artefacts?: readonly components["schemas"]["Artefact"][];
            /** @description How often it was retried. */
            readonly attempt: number;
            /** @description What is to be run, of a command. */
            readonly command?: components["schemas"]["JobCommand"];
            readonly created_at: components["schemas"]["Time"];
            readonly cursor: components["schemas"]["Cursor"];
            /** @description Why it failed. */
            readonly error: components["schemas"]["JobError"] | null;
            readonly kind: components["schemas"]["Kind"];
            /** @description What the current step says. */
            readonly message: string | null;
            /** @description What whoever drives it wants to be known; of an upload, `upload` with `id`, `filename`, `size_bytes`, `received_bytes`, and `removed` once the file is gone. */
            readonly metadata: {
                readonly [key: string]: unknown;
            };
            /** @description How much of the whole is done. */
            readonly percent: components["schemas"]["Percent"];
            /** @description Its place in the queue while it waits there. */
            readonly queue_position: number | null;
            /** @description What came out of it; of a report, `report_url`, `rows`, `columns`, `size_bytes`, `sha256`, `report_sha256`, `encoding`, `delimiter`, `header_line`, `faults` (their kinds and counts), `duration_ms`. */
            readonly result: unknown;
            readonly session_id: components["schemas"]["JobId"];
            readonly status: components["schemas"]["Status"];
            /** @description The number of the current step; 0 before the first. */
            readonly step: number;
            readonly step_name: string | null;
            /** @description The steps that have begun; of more than ten thousand the newest. In lists, and in events and answers to calls that change something (of a job that has ended, where there are more than a thousand), of more than ten only the two newest: the one that ended and the one that runs. */
            readonly steps: readonly components["schemas"]["Step"][];
            readonly title: string;
            readonly total_steps: number;
            readonly updated_at: components["schemas"]["Time"];
        };
        /** @description What is to be run. */
        readonly JobCommand: {
            /** @description Its name there. */
            readonly name: string;
            /** @constant */
            readonly order: "configured";
            /** @description What stands for the placeholders of its arguments. */
            readonly parameters?: {
                readonly [key: string]: string;
            };
        } | {
            /** @description The program and its arguments. */
            readonly argv: readonly string[];
            /** @constant */
            readonly order: "ad_hoc";
            /** @description How its output is read. */
            readonly parser: components["schemas"]["Parser"];
            /** @description The pattern, for [`ParserKind::Pattern`]. */
            readonly pattern?: string;
            /** @description When it is ended, if not by the default. */
            readonly timeout_ms?: number;
        } | {
            /** @description The program and its arguments, for showing. */
            readonly argv: readonly string[];
            /** @constant */
            readonly order: "elsewhere";
        };
        /** @description Why a job failed. */
        readonly JobError: {
            /** @description The character in that line, from 1. */
            readonly column?: number;
            /** @description The line of the file, from 1. */
            readonly line?: number;
            /** @description What happened and what to do. */
            readonly message: string;
            /** @description The step at which it failed. */
            readonly step: string | null;
        };
        /**
         * @description 1 to 128 characters of `A–Z a–z 0–9 . _ : -`; the first is a letter or digit.
         * @example import-7
         */
        readonly JobId: string;
        /** @description Jobs, the newest first. */
        readonly Jobs: {
            readonly cursor: components["schemas"]["Cursor"];
            readonly jobs: readonly components["schemas"]["Job"][];
        };
        /** @description A publication whose data is JSON. */
        readonly JsonPublication: {
            readonly channel: components["schemas"]["ChannelName"];
            /** @description Any JSON value. Default null. */
            readonly data?: unknown;
            /** @default null */
            readonly encoding: null;
            /** @description What happened. Default `message`. */
            readonly event?: components["schemas"]["EventName"] | null;
        };
        /** @description A key that was made. */
        readonly KeyMade: {
            readonly created_at: components["schemas"]["Time"];
            /** @description `null` if it does not end. */
            readonly ends_at: components["schemas"]["Time"] | null;
            readonly grants: readonly string[];
            readonly id: string;
            /** @description The key itself, told this once: only its SHA-256 is kept. */
            readonly key: string;
            readonly name: string;
            readonly roles: readonly string[];
            /** @description `null` if it was not used yet; after a restart, as it was known within the hour. */
            readonly used_at: components["schemas"]["Time"] | null;
        };
        /** @description Keys that were made while the server ran, by name. */
        readonly Keys: {
            readonly keys: readonly components["schemas"]["KeyShown"][];
            /** @description Ask with this as `after` for the rest; `null` where that is all. */
            readonly next: string | null;
        };
        /** @description One key. */
        readonly KeyShown: {
            readonly created_at: components["schemas"]["Time"];
            /** @description `null` if it does not end. */
            readonly ends_at: components["schemas"]["Time"] | null;
            readonly grants: readonly string[];
            readonly id: string;
            readonly name: string;
            readonly roles: readonly string[];
            /** @description `null` if it was not used yet; after a restart, as it was known within the hour. */
            readonly used_at: components["schemas"]["Time"] | null;
        };
        /**
         * @description What a job is, as lists are filtered by it. `progress`: driven step by step over the API. `report`: a report of an upload. `command`: a command. `video`: a video.
         * @enum {string}
         */
        readonly Kind: "progress" | "report" | "command" | "video";
        /** @description Which faults are on. */
        readonly Lab: {
            /** @description New WebSockets are refused. */
            readonly block_websocket: boolean;
            /** @description Server-sent events are held back, as by a proxy that buffers. */
            readonly buffer_sse: boolean;
            /** @description Until when nobody is let in. */
            readonly cut_until: components["schemas"]["Time"] | null;
            /** @description Whether the server was started with `--lab`. */
            readonly enabled: boolean;
            /** @description A restart was asked for. */
            readonly restarting: boolean;
        };
        /** @description Which faults to switch; what is absent stays as it is. */
        readonly LabChange: {
            readonly block_websocket?: boolean | null;
            readonly buffer_sse?: boolean | null;
            /** @description For how long every connection is ended and nobody let in, in milliseconds; 0 ends it. */
            readonly cut_ms?: number | null;
        };
        readonly Live: {
            /** @constant */
            readonly live: true;
        };
        /** @description The output of a command. Where `n` jumps, lines were cut. */
        readonly Log: {
            readonly attempt: number;
            readonly cursor: components["schemas"]["Cursor"];
            /** @description How many lines between these are not kept. */
            readonly cut: number;
            readonly lines: readonly components["schemas"]["LogLine"][];
            /** @description The number of the newest line there is. */
            readonly newest: number;
        };
        /** @description Records with their state. */
        readonly LogEntries: {
            /** @description Subscribe to `pipeline` from here, or ask on. */
            readonly cursor: components["schemas"]["Cursor"];
            readonly logs: readonly components["schemas"]["LogEntry"][];
        };
        /** @description A record on its way, as the API shows it. */
        readonly LogEntry: {
            /** @description How often its processing began. */
            readonly attempts: number;
            /** @description Who processed it, once somebody did. */
            readonly consumerId: string | null;
            /** @description What it holds. */
            readonly dataType: components["schemas"]["DataType"];
            /** @description Where it lies among the dead letters, when it does. */
            readonly deadLetter: components["schemas"]["Place"] | null;
            /** @description Why it failed, when it did. */
            readonly error: string | null;
            /** @description When it was processed or failed. */
            readonly finishedAt: components["schemas"]["Time"] | null;
            /**
             * Format: uuid
             * @description Its id.
             */
            readonly logId: string;
            /** @description Its offset, as text: it may be greater than JavaScript's numbers hold exactly. */
            readonly offset: string;
            /** @description Its partition. */
            readonly partition: number;
            /** @description When a consumer got it, the last time. */
            readonly receivedAt: components["schemas"]["Time"];
            /** @description How many rows. */
            readonly rowCount: number;
            /** @description When its processing began, the last time. */
            readonly startedAt: components["schemas"]["Time"] | null;
            /** @description Where it is. */
            readonly status: components["schemas"]["RecordStatus"];
            /** @description Its topic. */
            readonly topic: string;
        };
        /** @description A line of output. */
        readonly LogLine: {
            readonly at: components["schemas"]["Time"];
            /** @description Its number. */
            readonly n: number;
            /**
             * @description Which pipe a line came out of. `out`: standard output. `err`: standard error.
             * @enum {string}
             */
            readonly stream: "out" | "err";
            readonly text: string;
        };
        /** @description Who somebody is, and what they may do. */
        readonly Me: {
            /** @description When the session, the token or the key ends; `null` if it does not. */
            readonly expires_at: components["schemas"]["Time"] | null;
            /** @description What it may do: `*`, `subscribe:PATTERN`, `publish:PATTERN`, `APP:ACTION` or `APP:ACTION:own`. */
            readonly grants: readonly string[];
            /** @description What people call it. */
            readonly name: string | null;
            /** @description Whether everybody may do everything, because there are neither accounts nor keys. */
            readonly open: boolean;
            /** @description Others at whom one can sign in. */
            readonly providers: readonly string[];
            readonly roles: readonly string[];
            /** @description The id of the session at the console, if it is one. */
            readonly session: string | null;
            /** @description The id by which things name their owner; `null` for whoever has not said who they are. */
            readonly user: string | null;
            /** @description How to sign in: `password`, `key`. */
            readonly ways: readonly string[];
        };
        /** @description One who is on a channel. */
        readonly Member: {
            /** @description Its name. */
            readonly client: string;
            readonly joined_at: components["schemas"]["Time"];
            /** @description The `sub` of its token. */
            readonly user: string | null;
        };
        /** @description Memory, in bytes. */
        readonly Memory: {
            /** @description What programs could still get. */
            readonly available: number;
            /** @description All swap there is. */
            readonly swap_total: number;
            /** @description Swap in use. */
            readonly swap_used: number;
            /** @description All there is. */
            readonly total: number;
            /** @description What is not available. */
            readonly used: number;
        };
        /** @description Memory, in bytes. */
        readonly MemoryRequest: {
            /** @description What programs could still get. */
            readonly available: number;
            /** @description All swap there is. */
            readonly swap_total: number;
            /** @description Swap in use. */
            readonly swap_used: number;
            /** @description All there is. */
            readonly total: number;
            /** @description What is not available. */
            readonly used: number;
        };
        /** @description A time, or milliseconds since 1970. Times of other zones and precisions are read as well. */
        readonly Moment: components["schemas"]["Time"] | string;
        /** @description A namespace that a Socket.IO client is connected to. */
        readonly Namespace: {
            readonly name: string;
            readonly rooms: readonly string[];
            /** @description The client's public id in this namespace. */
            readonly socket: string;
            readonly user: string | null;
        };
        /** @description All network interfaces but loopback and those of containers. */
        readonly Network: {
            /** @description Bytes a second. */
            readonly received_per_second: number;
            /** @description Bytes a second. */
            readonly sent_per_second: number;
        };
        /** @description A key to be made. */
        readonly NewKey: {
            /**
             * @description When it ends, as `2099-01-31T00:00:00Z`; never without it.
             * @default null
             */
            readonly ends_at: string | null;
            /**
             * @description What it may do beside its roles.
             * @default []
             */
            readonly grants: readonly string[];
            /** @description 1 to 64 letters, digits and `. _ - @ +`. */
            readonly name: string;
            /** @default [] */
            readonly roles: readonly string[];
        };
        /** @description The old password and a new one. */
        readonly NewPassword: {
            /** @description At least 10 characters. */
            readonly new: string;
            readonly old: string;
        };
        /** @description An account to be made. */
        readonly NewUser: {
            /** @description 1 to 64 letters, digits and `. _ - @ +`. */
            readonly name: string;
            /**
             * @description At least 10 characters. Without it one is made, and told this once.
             * @default null
             */
            readonly password: string | null;
            readonly roles: readonly string[];
        };
        /** @description What the server does, with what only it knows. */
        readonly Overview: {
            /** @description Payload bytes appended a second. */
            readonly bytes_per_second: number;
            /** @description From append to commit. */
            readonly commit_latency_ms: components["schemas"]["Quantiles"];
            /** @description Readers by transport. */
            readonly connections: components["schemas"]["Connections"];
            /** @description Events written to readers a second. */
            readonly deliveries_per_second: number;
            /** @description Events written to readers. */
            readonly deliveries_total: number;
            /** @description From commit to the write to a live reader. */
            readonly delivery_latency_ms: components["schemas"]["Quantiles"];
            /** @description Events appended a second. */
            readonly events_per_second: number;
            /** @description Events appended. */
            readonly events_total: number;
            /** @description Gaps told. */
            readonly gaps_total: number;
            /** @description Resident memory, where the system tells it. */
            readonly memory_bytes: number | null;
            /** @description Subscriptions that began with a cursor. */
            readonly resumes_total: number;
            /** @description Readers whose socket is full, or that are catching up. */
            readonly slow_readers: number;
            /** @description Where the log ends. */
            readonly tail: components["schemas"]["Cursor"];
            readonly time: components["schemas"]["Time"];
        };
        /**
         * @description How the output of a command becomes progress. `lines`: plain lines. `json`: a JSON object a line. `ffmpeg`: what `ffmpeg -progress pipe:1` writes. `pattern`: a regular expression.
         * @enum {string}
         */
        readonly Parser: "lines" | "json" | "ffmpeg" | "pattern";
        readonly PartitionLag: {
            readonly begin: string;
            /** @description None when the group never committed: that is no lag of everything there is. */
            readonly committed: string | null;
            readonly consumerId: string | null;
            readonly end: string;
            readonly messages: number | null;
            readonly partition: number;
            /** @description How old the oldest of them is. */
            readonly seconds: number | null;
            readonly topic: string;
        };
        /** @description A share of the whole in tenths of a percent: 0 to 100.0. */
        readonly Percent: number;
        /** @description What is published on channel `pipeline_state` as `state-updated`. */
        readonly PipelineState: {
            readonly broker: components["schemas"]["BrokerState"];
            readonly group: string;
            readonly lag: readonly components["schemas"]["PartitionLag"][];
            /** @description Why the lag is not that of this moment; null while it is. */
            readonly lagError: string | null;
            /** @description What changed last about each topic that is not as it was. */
            readonly notices: readonly components["schemas"]["TopicNotice"][];
        };
        /** @description Where a record is, as the API shows it. */
        readonly Place: {
            /** @description As text: it may be greater than a double holds. */
            readonly offset: string;
            readonly partition: number;
            readonly topic: components["schemas"]["TopicName"];
        };
        /** @description What a poll brings. */
        readonly PollAnswer: {
            readonly cursor: components["schemas"]["Cursor"];
            readonly events: readonly components["schemas"]["Event"][];
            readonly gap: components["schemas"]["Gap"] | null;
        };
        /** @description Who is on a channel. */
        readonly PresenceAnswer: {
            readonly channel: components["schemas"]["ChannelName"];
            readonly cursor: components["schemas"]["Cursor"];
            readonly members: readonly components["schemas"]["Member"][];
        };
        /** @description The process that made the sample: the server, or the reporter of another host. */
        readonly Process: {
            /** @description In percent of one core. */
            readonly cpu_percent: number;
            /** @description Resident memory, in bytes. */
            readonly memory: number;
            /** @description Open files and sockets, where the system tells. */
            readonly open_files: number | null;
            /** @description Threads, where the system tells. */
            readonly threads: number | null;
            /** @description Since its start. */
            readonly uptime_s: number;
        };
        /** @description The process that made the sample: the server, or the reporter of another host. */
        readonly ProcessRequest: {
            /** @description In percent of one core. */
            readonly cpu_percent: number;
            /** @description Resident memory, in bytes. */
            readonly memory: number;
            /** @description Open files and sockets, where the system tells. */
            readonly open_files?: number | null;
            /** @description Threads, where the system tells. */
            readonly threads?: number | null;
            /** @description Since its start. */
            readonly uptime_s: number;
        };
        readonly Publication: components["schemas"]["JsonPublication"] | components["schemas"]["BytesPublication"];
        /** @description Publications of which all or none is in the log. */
        readonly PublicationBatch: {
            readonly events: readonly components["schemas"]["Publication"][];
        };
        /** @description Where the events are. */
        readonly Published: {
            readonly cursor: components["schemas"]["Cursor"];
            /**
             * @description Nothing was appended: the key was used before.
             * @constant
             */
            readonly duplicate?: true;
            /** @description Their places in the log, in the order of the publications. */
            readonly offsets: readonly number[];
        };
        /** @description One publication, or a batch. */
        readonly PublishRequest: components["schemas"]["JsonPublication"] | components["schemas"]["BytesPublication"] | components["schemas"]["PublicationBatch"];
        /** @description Two quantiles of a duration, in milliseconds; `None` where nothing was observed. */
        readonly Quantiles: {
            /** @description The median. */
            readonly p50: number | null;
            /** @description One in a hundred is slower. */
            readonly p99: number | null;
        };
        /** @description Two quantiles of a duration, in milliseconds; `None` where nothing was observed. */
        readonly QuantilesRequest: {
            /** @description The median. */
            readonly p50?: number | null;
            /** @description One in a hundred is slower. */
            readonly p99?: number | null;
        };
        readonly Ready: {
            readonly ready: boolean;
        };
        /** @description What a record holds. */
        readonly RecordContent: {
            readonly headers: readonly components["schemas"]["RecordHeader"][];
            readonly key: components["schemas"]["ShownBytes"] | null;
            readonly timestamp: components["schemas"]["Time"];
            /** @description Null of a tombstone. */
            readonly value: components["schemas"]["ShownBytes"] | null;
        };
        /** @description One record, with what it holds. */
        readonly RecordDetail: {
            readonly log: components["schemas"]["LogEntry"];
            /** @description Null when its topic keeps it no more. */
            readonly record: components["schemas"]["RecordContent"] | null;
        };
        /** @description A header of a record. One without a value is not one with an empty value. */
        readonly RecordHeader: {
            readonly name: string;
            readonly value: components["schemas"]["ShownBytes"] | null;
        };
        /**
         * @description Where a record is on its way. `RECEIVED`: a consumer has it. `PROCESSING`: it is being processed, for the first time or again. `PROCESSED`: it was. `FAILED`: it could not be, and is a dead letter.
         * @enum {string}
         */
        readonly RecordStatus: "RECEIVED" | "PROCESSING" | "PROCESSED" | "FAILED";
        /** @description A new record with the same key, headers and value. */
        readonly Replayed: {
            readonly record: components["schemas"]["Place"];
            /** @constant */
            readonly success: true;
        };
        /** @description What another machine reports. */
        readonly Report: {
            /**
             * @description What tells the reporter from another one of the same name, such as a random text chosen at its start.
             * @default null
             */
            readonly instance: components["schemas"]["HostName"] | null;
            /** @description In the order of their times. */
            readonly samples: readonly components["schemas"]["SampleRequest"][];
            /** @description What its clock shows. */
            readonly sent_at: components["schemas"]["ClockTime"];
        };
        /** @description What became of a report. */
        readonly Reported: {
            /** @description How many samples are new. */
            readonly accepted: number;
            /** @description Where the newest sample is. */
            readonly cursor: components["schemas"]["Cursor"];
            /** @description How many machines report under this name: more than one is a mistake. */
            readonly machines: number;
            /** @description How many were later than `sent_at`, or than those after them, and were moved to before it. */
            readonly moved: number;
            /** @description How many were there already. */
            readonly repeated: number;
        };
        /** @description What is to be taken back: one of the three. */
        readonly Revoke: {
            /**
             * @description One session, by its id.
             * @default null
             */
            readonly session: string;
            /**
             * @description One token, by its `jti`.
             * @default null
             */
            readonly token_id: string;
            /**
             * @description Every session of the account of this name, and every token with this `sub` that was made until now.
             * @default null
             */
            readonly user: string;
        };
        /** @description When a figure is worth an alert. */
        readonly Rule: {
            /** @description Where it ends; on the good side of `raise`. */
            readonly clear: number;
            /** @description Whether it is looked at. */
            readonly enabled: boolean;
            /** @description The figure, such as `cpu` or `disk:/`; `silence` is how many seconds ago the host was last heard of. */
            readonly figure: string;
            /** @description For how many seconds the figure must stay beyond, before either happens. */
            readonly for_s: number;
            /** @description Its name among the rules. */
            readonly id: string;
            /** @description Where it is raised. */
            readonly raise: number;
            /**
             * @description Which side is bad. `above`: above it. `below`: below it.
             * @enum {string}
             */
            readonly side: "above" | "below";
        };
        /** @description All rules of alerts. */
        readonly Rules: {
            readonly rules: readonly components["schemas"]["Rule"][];
        };
        /** @description A command of the configuration by its name, or a command line. */
        readonly RunCommand: {
            readonly command: string;
            readonly parameters?: {
                readonly [key: string]: string | number;
            } | null;
            /** @description Default: a new UUID. */
            readonly session_id?: components["schemas"]["JobId"] | null;
            readonly title?: string | null;
        } | {
            readonly argv: components["schemas"]["Argv"];
            readonly parser?: components["schemas"]["Parser"] | null;
            readonly pattern?: string | null;
            /** @description Default: a new UUID. */
            readonly session_id?: components["schemas"]["JobId"] | null;
            readonly timeout_ms?: number | null;
            readonly title?: string | null;
        };
        /** @description One look at a host. */
        readonly Sample: {
            /** @description Processors. */
            readonly cpu: components["schemas"]["Cpu"];
            /** @description The delivery core's own metrics; null where no server runs. */
            readonly delivery: components["schemas"]["DeliveryFigures"] | null;
            /** @description File systems. */
            readonly disks: readonly components["schemas"]["Disk"][];
            /** @description The time between two samples, in milliseconds. */
            readonly interval_ms: number;
            /** @description Processes that want to run, over 1, 5 and 15 minutes. */
            readonly load: readonly number[];
            /** @description Memory. */
            readonly memory: components["schemas"]["Memory"];
            /** @description What a connection costs, in bytes: growth of the process over its leanest moment without connections. Null below ten connections. */
            readonly memory_per_connection: number | null;
            /** @description Network; null in the first sample. */
            readonly network: components["schemas"]["Network"] | null;
            /** @description The process that made the sample. */
            readonly process: components["schemas"]["Process"];
            /** @description When, in milliseconds since 1970. In JSON for others it is ISO-8601. */
            readonly time: components["schemas"]["Time"];
            /** @description Since the machine's start. */
            readonly uptime_s: number;
        };
        /** @description What retention took. */
        readonly SampleGap: {
            readonly from: string;
            readonly to: string;
        };
        /** @description One look at a host. */
        readonly SampleRequest: {
            /** @description Processors. */
            readonly cpu: components["schemas"]["Cpu"];
            /** @description The delivery core's own metrics; null where no server runs. */
            readonly delivery?: components["schemas"]["DeliveryFiguresRequest"] | null;
            /** @description File systems. */
            readonly disks: readonly components["schemas"]["DiskRequest"][];
            /** @description The time between two samples, in milliseconds. */
            readonly interval_ms: number;
            /** @description Processes that want to run, over 1, 5 and 15 minutes. */
            readonly load: readonly number[];
            /** @description Memory. */
            readonly memory: components["schemas"]["MemoryRequest"];
            /** @description What a connection costs, in bytes: growth of the process over its leanest moment without connections. Null below ten connections. */
            readonly memory_per_connection?: number | null;
            /** @description Network; null in the first sample. */
            readonly network?: components["schemas"]["Network"] | null;
            /** @description The process that made the sample. */
            readonly process: components["schemas"]["ProcessRequest"];
            /** @description When, in milliseconds since 1970. In JSON for others it is ISO-8601. */
            readonly time: components["schemas"]["ClockTime"];
            /** @description Since the machine's start. */
            readonly uptime_s: number;
        };
        /** @description Whole samples after a cursor. */
        readonly SamplesAfter: {
            /** @description Ask on from here. */
            readonly cursor: components["schemas"]["Cursor"];
            /** @description What retention took. */
            readonly gap: components["schemas"]["SampleGap"] | null;
            readonly host: components["schemas"]["HostName"];
            /** @description Whether there are more. */
            readonly more: boolean;
            readonly samples: readonly components["schemas"]["Sample"][];
        };
        /** @description How many consumers shall run. */
        readonly ScaleConsumers: {
            /** @description At most `pipeline.consumers_max`, which is 1 to 64. */
            readonly count: number;
        };
        /** @description A record that the broker has. */
        readonly Sent: {
            readonly record: components["schemas"]["Place"];
            /** @constant */
            readonly success: true;
            readonly timestamp: components["schemas"]["Time"];
            readonly topic: string;
        };
        /** @description Sessions, the newest first. */
        readonly Sessions: {
            /** @description Ask with this as `after` for the rest; `null` where that is all. */
            readonly next: string | null;
            readonly sessions: readonly components["schemas"]["SessionShown"][];
        };
        /** @description One session at the console. */
        readonly SessionShown: {
            readonly address: string;
            /** @description What the browser says it is. */
            readonly agent: string;
            /** @description Whether it is the one that asks. */
            readonly current: boolean;
            readonly expires_at: components["schemas"]["Time"];
            readonly id: string;
            readonly name: string;
            readonly started_at: components["schemas"]["Time"];
            readonly used_at: components["schemas"]["Time"];
            /** @description The id of the account. */
            readonly user: string;
        };
        /** @description Bytes for people: as text where they are one, else in base64; at most 256 KiB of them. */
        readonly ShownBytes: {
            readonly base64?: string;
            /** @description How many there are. */
            readonly bytes: number;
            readonly text?: string;
            /** @description Whether there are more than are shown. */
            readonly truncated: boolean;
        };
        /** @description A name and a password. */
        readonly SignIn: {
            readonly name: string;
            readonly password: string;
        };
        /** @description A consumer to start. */
        readonly StartConsumer: {
            /** @description Its name; without one it gets the first that is free. */
            readonly consumerId?: components["schemas"]["ConsumerId"] | null;
        };
        /** @description A job to start. */
        readonly StartJob: {
            /** @description The command line that the caller runs itself: the job is of kind `command`. */
            readonly argv?: components["schemas"]["Argv"] | null;
            /** @description After so many milliseconds without a call of whoever drives it the job is `interrupted`: they may be gone without a word. Without it: `jobs.job_idle_ms`. */
            readonly lease_ms?: number | null;
            /** @description Default: a new UUID. */
            readonly session_id?: components["schemas"]["JobId"] | null;
            readonly title: string;
            readonly total_steps: number;
        };
        /** @description `stats-updated`. */
        readonly Statistics: {
            /** @description How many consumers run. */
            readonly activeConsumers: number;
            /** @description Of them failed, and not processed since. */
            readonly failedMessages: number;
            /** @description Of them processed. */
            readonly processedMessages: number;
            readonly timestamp: components["schemas"]["Time"];
            /** @description Records received. */
            readonly totalMessages: number;
        };
        /**
         * @description How a job stands. `queued`: waits for its turn. `running`: somebody works on it. `succeeded`: done. `failed`: ended by an error. `cancelled`: ended by somebody's command. `interrupted`: the server stopped in the middle of it.
         * @enum {string}
         */
        readonly Status: "queued" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted";
        /** @description A step that has begun. */
        readonly Step: {
            /** @description Null while it runs. */
            readonly duration_ms: number | null;
            /** @description Its number, from 1. Where numbers jump, steps were passed over. */
            readonly index: number;
            readonly name: string;
            readonly started_at: components["schemas"]["Time"];
        };
        /** @description The next step, or news of the current one. */
        readonly StepJob: {
            readonly message?: string | null;
            /** @description Members to set, at most 16 KiB as JSON; null removes one. */
            readonly metadata?: {
                readonly [key: string]: unknown;
            } | null;
            readonly name: string;
            /** @description Of the whole; default: from the number of the step. */
            readonly percent?: number | null;
            /** @description Its number, greater than the current one's; default: the next. */
            readonly step?: number | null;
            /** @description How many steps there are, if that has turned out otherwise. */
            readonly total_steps?: number | null;
        };
        /** @description A ticket. */
        readonly Ticket: {
            /** @description Until when it can be used, once. */
            readonly expires_at: components["schemas"]["Time"];
            readonly ticket: string;
        };
        /** @description What a ticket is wanted for. */
        readonly TicketRequest: {
            /** @description The channels that may be followed with it; without them, everything that its owner may do. */
            readonly channels?: readonly components["schemas"]["ChannelName"][];
        };
        /**
         * @description ISO-8601, UTC, milliseconds; a day there is.
         * @example 2026-01-23T10:00:03.000Z
         */
        readonly Time: string;
        /** @description One topic. */
        readonly Topic: {
            /** @description Whether consumers read it. */
            readonly consumed: boolean;
            /** @description How many partitions it has. */
            readonly partitions: number;
            readonly topic: string;
        };
        /** @description The name of a topic: 1 to 200 of `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`. Kafka allows 249; the rest is for `.dead`. */
        readonly TopicName: string;
        /** @description How a topic is not what it was. */
        readonly TopicNotice: {
            /** @description How many partitions it had, or how many are set. */
            readonly before: number | null;
            /**
             * @description Partitions were added; it has others than are set; it is not there; it was made anew.
             * @enum {string}
             */
            readonly kind: "PARTITIONS_ADDED" | "PARTITIONS_DIFFER" | "GONE" | "ANEW";
            /** @description How many partitions it has. */
            readonly now: number | null;
            /** @description When it was noticed. */
            readonly since: components["schemas"]["Time"];
            readonly topic: string;
        };
        /** @description The topics that can be produced to. */
        readonly Topics: {
            /**
             * @description `embedded` or `kafka`.
             * @enum {string}
             */
            readonly kind: "embedded" | "kafka";
            readonly topics: readonly components["schemas"]["Topic"][];
        };
        /** @enum {string} */
        readonly Transport: "websocket" | "sse" | "longpoll" | "poll" | "socketio";
        /** @description An account that was made. */
        readonly UserAdded: {
            readonly created_at: components["schemas"]["Time"];
            readonly disabled: boolean;
            readonly id: string;
            readonly name: string;
            /** @description The password that was made; `null` where one was given. */
            readonly password: string | null;
            readonly roles: readonly string[];
            /** @description How many sessions it has at the console. */
            readonly sessions: number;
        };
        /** @description What is to be different about an account; what is absent stays. */
        readonly UserChanges: {
            /** @default null */
            readonly disabled: boolean;
            /**
             * @description At least 10 characters.
             * @default null
             */
            readonly password: string;
            /** @default null */
            readonly roles: readonly string[];
        };
        /** @description Accounts, by name. */
        readonly Users: {
            /** @description Ask with this as `after` for the rest; `null` where that is all. */
            readonly next: string | null;
            /** @description The roles there are to give. */
            readonly roles: readonly string[];
            readonly users: readonly components["schemas"]["UserShown"][];
        };
        /** @description One account. */
        readonly UserShown: {
            readonly created_at: components["schemas"]["Time"];
            readonly disabled: boolean;
            readonly id: string;
            readonly name: string;
            readonly roles: readonly string[];
            /** @description How many sessions it has at the console. */
            readonly sessions: number;
        };
        /** @description A video. */
        readonly Video: {
            readonly captions_url?: string;
            readonly duration_s: number;
            readonly height: number;
            readonly language?: string;
            readonly size_bytes: number;
            readonly url: string;
            readonly width: number;
        } & {
            readonly [key: string]: unknown;
        };
        /** @description The state of a job, with its video once it is made. */
        readonly VideoJob: {
            /** @description The files its command left so far. */
            readonly artefacts?: readonly components["schemas"]["Artefact"][];
            /** @description How often it was retried. */
            readonly attempt: number;
            /** @description What is to be run, of a command. */
            readonly command?: components["schemas"]["JobCommand"];
            readonly created_at: components["schemas"]["Time"];
            readonly cursor: components["schemas"]["Cursor"];
            /** @description Why it failed. */
            readonly error: components["schemas"]["JobError"] | null;
            readonly job_id: components["schemas"]["JobId"];
            readonly kind: components["schemas"]["Kind"];
            /** @description What the current step says. */
            readonly message: string | null;
            /** @description What whoever drives it wants to be known; of an upload, `upload` with `id`, `filename`, `size_bytes`, `received_bytes`, and `removed` once the file is gone. */
            readonly metadata: {
                readonly [key: string]: unknown;
            };
            /** @description How much of the whole is done. */
            readonly percent: components["schemas"]["Percent"];
            /** @description Its place in the queue while it waits there. */
            readonly queue_position: number | null;
            /** @description What came out of it; of a report, `report_url`, `rows`, `columns`, `size_bytes`, `sha256`, `report_sha256`, `encoding`, `delimiter`, `header_line`, `faults` (their kinds and counts), `duration_ms`. */
            readonly result: unknown;
            readonly session_id: components["schemas"]["JobId"];
            readonly status: components["schemas"]["Status"];
            /** @description The number of the current step; 0 before the first. */
            readonly step: number;
            readonly step_name: string | null;
            /** @description The steps that have begun; of more than ten thousand the newest. In lists, and in events and answers to calls that change something (of a job that has ended, where there are more than a thousand), of more than ten only the two newest: the one that ended and the one that runs. */
            readonly steps: readonly components["schemas"]["Step"][];
            readonly title: string;
            readonly total_steps: number;
            readonly updated_at: components["schemas"]["Time"];
            readonly video?: components["schemas"]["Video"];
        };
        /** @description A video that is being made. */
        readonly VideoStarted: {
            readonly job_id: components["schemas"]["JobId"];
            /** @description Its job without a stream. */
            readonly status_url: string;
            /** @description Its job as server-sent events. */
            readonly stream_url: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type AddLog = components['schemas']['AddLog'];
export type After = components['schemas']['After'];
export type Alert = components['schemas']['Alert'];
export type Alerts = components['schemas']['Alerts'];
export type Argv = components['schemas']['Argv'];
export type Artefact = components['schemas']['Artefact'];
export type BrokerState = components['schemas']['BrokerState'];
export type BytesPublication = components['schemas']['BytesPublication'];
export type ChannelName = components['schemas']['ChannelName'];
export type Channels = components['schemas']['Channels'];
export type ChannelState = components['schemas']['ChannelState'];
export type Cleaned = components['schemas']['Cleaned'];
export type CleanUp = components['schemas']['CleanUp'];
export type Client = components['schemas']['Client'];
export type Clients = components['schemas']['Clients'];
export type ClockTime = components['schemas']['ClockTime'];
export type Command = components['schemas']['Command'];
export type Commands = components['schemas']['Commands'];
export type CompleteJob = components['schemas']['CompleteJob'];
export type Connections = components['schemas']['Connections'];
export type ConnectionsRequest = components['schemas']['ConnectionsRequest'];
export type Consumer = components['schemas']['Consumer'];
export type ConsumerId = components['schemas']['ConsumerId'];
export type ConsumerPartition = components['schemas']['ConsumerPartition'];
export type Cpu = components['schemas']['Cpu'];
export type CreateVideo = components['schemas']['CreateVideo'];
export type Cursor = components['schemas']['Cursor'];
export type DataType = components['schemas']['DataType'];
export type DeliveryFigures = components['schemas']['DeliveryFigures'];
export type DeliveryFiguresRequest = components['schemas']['DeliveryFiguresRequest'];
export type Disconnect = components['schemas']['Disconnect'];
export type Disconnected = components['schemas']['Disconnected'];
export type Disk = components['schemas']['Disk'];
export type DiskRequest = components['schemas']['DiskRequest'];
export type Emit = components['schemas']['Emit'];
export type Emitted = components['schemas']['Emitted'];
export type EndedClients = components['schemas']['EndedClients'];
export type Ending = components['schemas']['Ending'];
export type Error = components['schemas']['Error'];
export type Event = components['schemas']['Event'];
export type EventName = components['schemas']['EventName'];
export type FailJob = components['schemas']['FailJob'];
export type FileSent = components['schemas']['FileSent'];
export type Gap = components['schemas']['Gap'];
export type Health = components['schemas']['Health'];
export type History = components['schemas']['History'];
export type HistoryRows = components['schemas']['HistoryRows'];
export type Host = components['schemas']['Host'];
export type HostName = components['schemas']['HostName'];
export type Hosts = components['schemas']['Hosts'];
export type HostSample = components['schemas']['HostSample'];
export type Job = components['schemas']['Job'];
export type JobCommand = components['schemas']['JobCommand'];
export type JobError = components['schemas']['JobError'];
export type JobId = components['schemas']['JobId'];
export type Jobs = components['schemas']['Jobs'];
export type JsonPublication = components['schemas']['JsonPublication'];
export type KeyMade = components['schemas']['KeyMade'];
export type Keys = components['schemas']['Keys'];
export type KeyShown = components['schemas']['KeyShown'];
export type Kind = components['schemas']['Kind'];
export type Lab = components['schemas']['Lab'];
export type LabChange = components['schemas']['LabChange'];
export type Live = components['schemas']['Live'];
export type Log = components['schemas']['Log'];
export type LogEntries = components['schemas']['LogEntries'];
export type LogEntry = components['schemas']['LogEntry'];
export type LogLine = components['schemas']['LogLine'];
export type Me = components['schemas']['Me'];
export type Member = components['schemas']['Member'];
export type Memory = components['schemas']['Memory'];
export type MemoryRequest = components['schemas']['MemoryRequest'];
export type Moment = components['schemas']['Moment'];
export type Namespace = components['schemas']['Namespace'];
export type Network = components['schemas']['Network'];
export type NewKey = components['schemas']['NewKey'];
export type NewPassword = components['schemas']['NewPassword'];
export type NewUser = components['schemas']['NewUser'];
export type Overview = components['schemas']['Overview'];
export type Parser = components['schemas']['Parser'];
export type PartitionLag = components['schemas']['PartitionLag'];
export type Percent = components['schemas']['Percent'];
export type PipelineState = components['schemas']['PipelineState'];
export type Place = components['schemas']['Place'];
export type PollAnswer = components['schemas']['PollAnswer'];
export type PresenceAnswer = components['schemas']['PresenceAnswer'];
export type Process = components['schemas']['Process'];
export type ProcessRequest = components['schemas']['ProcessRequest'];
export type Publication = components['schemas']['Publication'];
export type PublicationBatch = components['schemas']['PublicationBatch'];
export type Published = components['schemas']['Published'];
export type PublishRequest = components['schemas']['PublishRequest'];
export type Quantiles = components['schemas']['Quantiles'];
export type QuantilesRequest = components['schemas']['QuantilesRequest'];
export type Ready = components['schemas']['Ready'];
export type RecordContent = components['schemas']['RecordContent'];
export type RecordDetail = components['schemas']['RecordDetail'];
export type RecordHeader = components['schemas']['RecordHeader'];
export type RecordStatus = components['schemas']['RecordStatus'];
export type Replayed = components['schemas']['Replayed'];
export type Report = components['schemas']['Report'];
export type Reported = components['schemas']['Reported'];
export type Revoke = components['schemas']['Revoke'];
export type Rule = components['schemas']['Rule'];
export type Rules = components['schemas']['Rules'];
export type RunCommand = components['schemas']['RunCommand'];
export type Sample = components['schemas']['Sample'];
export type SampleGap = components['schemas']['SampleGap'];
export type SampleRequest = components['schemas']['SampleRequest'];
export type SamplesAfter = components['schemas']['SamplesAfter'];
export type ScaleConsumers = components['schemas']['ScaleConsumers'];
export type Sent = components['schemas']['Sent'];
export type Sessions = components['schemas']['Sessions'];
export type SessionShown = components['schemas']['SessionShown'];
export type ShownBytes = components['schemas']['ShownBytes'];
export type SignIn = components['schemas']['SignIn'];
export type StartConsumer = components['schemas']['StartConsumer'];
export type StartJob = components['schemas']['StartJob'];
export type Statistics = components['schemas']['Statistics'];
export type Status = components['schemas']['Status'];
export type Step = components['schemas']['Step'];
export type StepJob = components['schemas']['StepJob'];
export type Ticket = components['schemas']['Ticket'];
export type TicketRequest = components['schemas']['TicketRequest'];
export type Time = components['schemas']['Time'];
export type Topic = components['schemas']['Topic'];
export type TopicName = components['schemas']['TopicName'];
export type TopicNotice = components['schemas']['TopicNotice'];
export type Topics = components['schemas']['Topics'];
export type Transport = components['schemas']['Transport'];
export type UserAdded = components['schemas']['UserAdded'];
export type UserChanges = components['schemas']['UserChanges'];
export type Users = components['schemas']['Users'];
export type UserShown = components['schemas']['UserShown'];
export type Video = components['schemas']['Video'];
export type VideoJob = components['schemas']['VideoJob'];
export type VideoStarted = components['schemas']['VideoStarted'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
