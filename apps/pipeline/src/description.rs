//! The pipeline's routes, described.

use anywire_app::description::{Answer, Content, Operation, Parameter, schemas::CursorText};
use serde_json::{Value, json};

use crate::{
    api::body::{FileSent, LogEntries, RecordDetail, Replayed, ScaleConsumers, Sent, StartConsumer, Topics},
    consumers::Shown as Consumer,
    domain::{ConsumerId, Entry},
    events::Statistics,
    lag::GroupState as State,
    topics::TopicName,
};

/// The operations, in the order in which a page shows them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        send_record(),
        send_file(),
        topics(),
        consumers(),
        start_consumer(),
        stop_consumer(),
        scale_consumers(),
        statistics(),
        lag(),
        records(),
        record(),
        retry_record(),
        replay_record(),
    ]
}

fn send_record() -> Operation {
    Operation::post("/api/producers/send/single", "sendRecord")
        .is("Pipeline", "Produce one record")
        .about("The body is the value, byte for byte. With `Content-Type: application/json` it must be JSON.")
        .takes(topic_parameter())
        .takes(record_key_parameter())
        .body(
            [Content::other("application/json", json!({})).example(json!({ "name": "Test", "value": 100 }))],
        )
        .writes::<Sent>(
            201,
            "It is kept.",
            json!({
                "success": true, "topic": "test",
                "record": { "topic": "test", "partition": 0, "offset": "12345" },
                "timestamp": "2026-01-23T10:00:03.000Z",
            }),
        )
        .refuses(400, &["invalid_request"], "\"topic\" is missing; say ?topic=NAME")
        .guarded()
        .refuses(
            404,
            &["unknown_topic"],
            "there is no topic orders; known are: test; add it to pipeline.topics",
        )
        .refuses(
            413,
            &["too_large"],
            "the record has 2000000 bytes and topic test takes at most 1000000; send less, or raise \
                 pipeline.record_bytes_max and the broker's message.max.bytes",
        )
        .refuses(502, &["broker_failed"], "the record was not taken: Message production error")
        .refuses(
            503,
            &["broker_away", "busy", "shutting_down"],
            "the broker did not take the record: Message production error: MessageTimedOut (Local: \
                 Message timed out); try again when it is back",
        )
}

fn send_file() -> Operation {
    Operation::post("/api/producers/send/csv", "sendFile")
        .is("Pipeline", "Produce a CSV file in batches of rows")
        .about("The file is read as the report of a file reads it, and checked whole before the first record is \
                 sent: a file of which a row or a column cannot be kept is refused with its place. A record holds \
                 `pipeline.csv_rows` rows as a JSON array of objects.")
        .takes(topic_parameter())
        .takes(record_key_parameter())
        .takes(Parameter::query("encoding", "The file's encoding, if it is not UTF-8 or UTF-16: it is not guessed.").example(json!("utf-8")))
        .takes(Parameter::query("delimiter", "What stands between fields: one sign, `tab` or `space`. Default: what divides the rows alike.").example(json!(",")))
        .takes(Parameter::query("quote", "What stands around fields that hold a delimiter, or `none`. Default: `\"`, or `'` where that stands around fields.").example(json!("\"")))
        .takes(Parameter::query("header", "The line that names the columns, from 1. Default: the first of the table.").example(json!("1")))
        .body([Content::other("text/csv", json!({
                "type": "string", "minLength": 1, "pattern": "^[^\\r\\n]*[^\\s,\"\\ufeff]",
                "description": "A line names the columns, each by another name; every row has as many fields as it.",
            })).example(json!("name,value\nA,1\nB,2\n"))])
        .writes::<FileSent>(201, "All rows are kept.", json!({
                "success": true, "topic": "test", "rowCount": 2, "batches": 1,
                "encoding": "UTF-8", "delimiter": ",", "headerLine": 1,
                "first": { "topic": "test", "partition": 0, "offset": "12345" },
                "last": { "topic": "test", "partition": 0, "offset": "12345" },
                "timestamp": "2026-01-23T10:00:03.000Z",
            }))
        .refuses(400, &["invalid_request"], "line 3, column 2: the row has 1 value and the header names 2 columns; give every row a value for each name, empty ones too; nothing was sent")
        .guarded()
        .refuses(404, &["unknown_topic"], "there is no topic orders; known are: test; add it to pipeline.topics")
        .refuses(413, &["too_large"], "the record has 2000000 bytes and topic test takes at most 1000000; send less, or raise \
                 pipeline.record_bytes_max and the broker's message.max.bytes")
        .refuses(507, &["storage_full"], "keeping the file failed: no space left; see the server's disk")
        .refuses(502, &["broker_failed"], "the record was not taken: Message production error")
        .refuses(503, &["broker_away", "busy", "shutting_down", "storage_failed"], "the broker did not take the record: Message production error: MessageTimedOut (Local: \
                 Message timed out); try again when it is back")
}

fn topics() -> Operation {
    Operation::get("/api/producers/topics", "topics")
        .is("Pipeline", "The topics that can be produced to")
        .writes::<Topics>(
            200,
            "The topics.",
            json!({ "kind": "embedded", "topics": [{ "topic": "test", "partitions": 3, "consumed": true }] }),
        )
        .guarded()
}

fn consumers() -> Operation {
    Operation::get("/api/consumers", "consumers")
        .is("Pipeline", "The consumers that run, and those that did")
        .writes::<Vec<Consumer>>(200, "The consumers.", example_consumers())
        .guarded()
}

fn start_consumer() -> Operation {
    Operation::post("/api/consumers", "startConsumer")
        .is("Pipeline", "Start one more consumer")
        .about("Without a name it gets the first free one. It runs again after a restart of the server.")
        .body_or_none([Content::request::<StartConsumer>().example(json!({ "consumerId": "consumer-2" }))])
        .writes::<Consumer>(
            201,
            "It runs.",
            json!({
                "consumerId": "consumer-2", "status": "ACTIVE", "group": "anywire",
                "partitions": [{ "topic": "test", "partition": 0 }], "processed": 12, "failed": 0,
                "error": null,
            }),
        )
        .refuses(400, &["invalid_request"], "the body does not fit")
        .guarded()
        .refuses(
            409,
            &["consumer_runs", "too_many_consumers"],
            "consumer consumer-2 runs already; stop it first, or start one of another name",
        )
        .refuses(503, &["shutting_down"], "the server is stopping")
}

fn stop_consumer() -> Operation {
    Operation::delete("/api/consumers/{id}", "stopConsumer")
        .is("Pipeline", "Stop a consumer")
        .takes(Parameter::path("id", "The consumer's name.").of::<ConsumerId>().example(json!("consumer-7")))
        .answers(Answer::new(204, "It finished what it was doing, and its partitions are for the others."))
        .refuses(400, &["invalid_request"], "no name of a consumer")
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "there is no consumer consumer-7 that runs; GET /api/consumers lists all",
        )
        .refuses(503, &["shutting_down"], "the server is stopping")
}

fn scale_consumers() -> Operation {
    Operation::post("/api/consumers/scale", "scaleConsumers")
        .is("Pipeline", "Start or stop consumers until so many run")
        .reads::<ScaleConsumers>(json!({ "count": 2 }))
        .writes::<Vec<Consumer>>(200, "The consumers.", example_consumers())
        .refuses(400, &["invalid_request"], "the body does not fit")
        .guarded()
        .refuses(
            409,
            &["too_many_consumers"],
            "16 consumers run, as many as pipeline.consumers_max allows; stop one first",
        )
        .refuses(503, &["shutting_down"], "the server is stopping")
}

fn statistics() -> Operation {
    Operation::get("/api/consumers/statistics", "statistics")
        .is("Pipeline", "The counters")
        .about("Event `stats-updated` carries the same.")
        .writes::<Statistics>(
            200,
            "The counters.",
            json!({
                "totalMessages": 1_250, "processedMessages": 1_180, "failedMessages": 70,
                "activeConsumers": 3, "timestamp": "2026-01-23T10:00:03.000Z",
            }),
        )
        .guarded()
}

fn lag() -> Operation {
    Operation::get("/api/consumers/lag", "lag")
        .is("Pipeline", "How far the group is, and whether the broker answers")
        .about("Event `state-updated` on channel `pipeline_state` carries the same.")
        .writes::<State>(200, "The state.", json!({
                "broker": { "kind": "kafka", "state": "UP", "reason": null, "since": "2026-01-23T10:00:03.000Z" },
                "group": "anywire",
                "lag": [
                    {
                        "topic": "test", "partition": 0, "begin": "0", "end": "692", "committed": "690",
                        "messages": 2, "seconds": 0.4, "consumerId": "consumer-1",
                    },
                ],
                "lagError": null,
                "notices": [
                    {
                        "topic": "test", "kind": "PARTITIONS_ADDED", "before": 3, "now": 4,
                        "since": "2026-01-23T10:00:03.000Z",
                    },
                ],
            }))
        .guarded()
}

fn records() -> Operation {
    Operation::get("/api/consumers/logs", "records")
        .is("Pipeline", "The newest records with their state")
        .about(
            "Without `after` the newest, newest first. With it all that changed since, in the order of \
                 their changes. Subscribe to `pipeline` from `cursor`.",
        )
        .takes(
            Parameter::query("after", "Only what changed after this cursor.")
                .of::<CursorText>()
                .example(json!("1f0c93ab-18")),
        )
        .takes(
            Parameter::query("limit", "The most records without `after`.")
                .schema(json!({ "type": "integer", "minimum": 1, "maximum": 10_000, "default": 500 }))
                .example(json!(500)),
        )
        .writes::<LogEntries>(
            200,
            "The records.",
            json!({
                "cursor": "1f0c93ab-18",
                "logs": [
                    {
                        "logId": "a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60", "topic": "test", "partition": 0,
                        "offset": "12345", "dataType": "SINGLE_MESSAGE", "rowCount": 1,
                        "status": "PROCESSED", "error": null, "consumerId": "consumer-1", "attempts": 1,
                        "receivedAt": "2026-01-23T10:00:03.000Z", "startedAt": "2026-01-23T10:00:03.000Z",
                        "finishedAt": "2026-01-23T10:00:03.000Z", "deadLetter": null,
                    },
                ],
            }),
        )
        .refuses(
            400,
            &["invalid_request", "invalid_cursor"],
            "\"limit\" is \"many\"; expected a whole number from 1 to 10000",
        )
        .guarded()
}

fn record() -> Operation {
    Operation::get("/api/consumers/logs/{id}", "record")
        .is("Pipeline", "One record, with what it holds")
        .takes(log_id_parameter())
        .writes::<RecordDetail>(
            200,
            "The record; `record` is null when its topic keeps it no more.",
            json!({
                "log": {
                    "logId": "a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60", "topic": "test", "partition": 0,
                    "offset": "12345", "dataType": "SINGLE_MESSAGE", "rowCount": 1, "status": "PROCESSED",
                    "error": null, "consumerId": "consumer-1", "attempts": 1,
                    "receivedAt": "2026-01-23T10:00:03.000Z", "startedAt": "2026-01-23T10:00:03.000Z",
                    "finishedAt": "2026-01-23T10:00:03.000Z", "deadLetter": null,
                },
                "record": {
                    "key": { "text": "k1", "bytes": 2, "truncated": false }, "headers": [],
                    "value": { "text": "{\"name\":\"Test\"}", "bytes": 15, "truncated": false },
                    "timestamp": "2026-01-23T10:00:03.000Z",
                },
            }),
        )
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "there is no record a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60 among the newest; GET \
                 /api/consumers/logs lists those there are",
        )
        .refuses(502, &["broker_failed"], "the record was not taken: Message production error")
        .refuses(
            503,
            &["broker_away", "busy", "shutting_down"],
            "the broker did not take the record: Message production error: MessageTimedOut (Local: \
                 Message timed out); try again when it is back",
        )
}

fn retry_record() -> Operation {
    Operation::post("/api/consumers/logs/{id}/retry", "retryRecord")
        .is("Pipeline", "Process a failed record once more")
        .about("The same record under the same id, from its exact bytes.")
        .takes(log_id_parameter())
        .writes::<Entry>(
            200,
            "The record as it is now: processed, or failed again.",
            json!({
                "logId": "a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60", "topic": "test", "partition": 0,
                "offset": "12345", "dataType": "SINGLE_MESSAGE", "rowCount": 1, "status": "PROCESSED",
                "error": null, "consumerId": "consumer-1", "attempts": 1,
                "receivedAt": "2026-01-23T10:00:03.000Z", "startedAt": "2026-01-23T10:00:03.000Z",
                "finishedAt": "2026-01-23T10:00:03.000Z", "deadLetter": null,
            }),
        )
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "there is no record a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60 among the newest; GET \
                 /api/consumers/logs lists those there are",
        )
        .refuses(
            409,
            &["not_failed"],
            "record a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60 has not failed: it is Processed; only a failed \
                 one can be tried again",
        )
        .refuses(
            410,
            &["record_gone"],
            "record a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60 is not in its topic any more, nor among the dead \
                 letters",
        )
        .refuses(502, &["broker_failed"], "the record was not taken: Message production error")
        .refuses(
            503,
            &["broker_away", "busy", "shutting_down"],
            "the broker did not take the record: Message production error: MessageTimedOut (Local: \
                 Message timed out); try again when it is back",
        )
}

fn replay_record() -> Operation {
    Operation::post("/api/consumers/logs/{id}/replay", "replayRecord")
        .is("Pipeline", "Produce a record again")
        .takes(log_id_parameter())
        .writes::<Replayed>(
            201,
            "A new record with the same key, headers and value.",
            json!({ "success": true, "record": { "topic": "test", "partition": 0, "offset": "12345" } }),
        )
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "there is no record a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60 among the newest; GET \
                 /api/consumers/logs lists those there are",
        )
        .refuses(
            410,
            &["record_gone"],
            "record a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60 is not in its topic any more, nor among the dead \
                 letters",
        )
        .refuses(
            413,
            &["too_large"],
            "the record has 2000000 bytes and topic test takes at most 1000000; send less, or raise \
                 pipeline.record_bytes_max and the broker's message.max.bytes",
        )
        .refuses(502, &["broker_failed"], "the record was not taken: Message production error")
        .refuses(
            503,
            &["broker_away", "busy", "shutting_down"],
            "the broker did not take the record: Message production error: MessageTimedOut (Local: \
                 Message timed out); try again when it is back",
        )
}

fn example_consumers() -> Value {
    json!([
        {
            "consumerId": "consumer-2", "status": "ACTIVE", "group": "anywire",
            "partitions": [{ "topic": "test", "partition": 0 }], "processed": 12, "failed": 0,
            "error": null,
        },
    ])
}

fn topic_parameter() -> Parameter {
    Parameter::query("topic", "The topic.")
        .required()
        .of::<TopicName>()
        .example(json!("test"))
        .shared("Topic")
}

fn record_key_parameter() -> Parameter {
    Parameter::query("key", "The record's key. Headers are given as `header.NAME=value`.")
        .example(json!("customer-7"))
        .shared("RecordKey")
}

fn log_id_parameter() -> Parameter {
    Parameter::path("id", "The record's `logId`.")
        .example(json!("a9c72bdc-6a30-5d8e-9f30-c4b7cc754e60"))
        .shared("LogId")
}
