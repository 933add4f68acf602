//! The monitor's routes, described.

use anywire_app::description::{
    Answer, Content, Header, Operation, Parameter,
    schemas::{After, Moment},
};
use serde_json::{Value, json};

use crate::{
    domain::HostName,
    wire::{
        Alerts, Hosts, Report, Reported, Rules,
        around_samples::{History, HostSample},
    },
};

/// The operations, in the order in which a page shows them.
#[must_use]
pub fn operations() -> Vec<Operation> {
    vec![
        performance(),
        performance_history(),
        hosts(),
        forget_host(),
        report_samples(),
        alerts(),
        set_rules(),
    ]
}

fn performance() -> Operation {
    Operation::get("/api/performance", "performance")
        .is("Performance", "The newest sample of a host")
        .about(
            "Polling costs a `304` of some hundred bytes while there is nothing new. The same sample goes \
                 out on the channel `performance` (other hosts: `performance_<host>`); `cursor` is where to \
                 subscribe from.",
        )
        .takes(
            Parameter::query("host", "Which host; this server without it.")
                .of::<HostName>()
                .example(json!("web-1")),
        )
        .takes(Parameter::if_none_match())
        .answers(Answer::new(200, "The sample.").header(etag_header()).with(
            Content::answer::<HostSample>().example(json!({
                "host": "web-1", "cursor": "1f0c93ab-18", "time": "2026-01-23T10:00:03.000Z",
                "interval_ms": 1_000, "cpu": { "percent": 23.1, "cores": [20.1, 26.1] },
                "load": [0.52, 0.4, 0.31],
                "memory": {
                    "total": 8_589_934_592_u64, "used": 2_147_483_648_u64, "available": 6_442_450_944_u64,
                    "swap_total": 0, "swap_used": 0,
                },
                "disks": [
                    {
                        "mount": "/", "total": 270_553_174_016_u64, "used": 111_000_000_000_u64,
                        "read_per_second": 0.0, "written_per_second": 81920.0,
                    },
                ],
                "network": { "received_per_second": 4210.0, "sent_per_second": 18300.0 },
                "process": {
                    "cpu_percent": 1.2, "memory": 33_259_520, "threads": 7, "open_files": 41,
                    "uptime_s": 3_600,
                },
                "uptime_s": 14_545, "delivery": null, "memory_per_connection": null,
            })),
        ))
        .answers(Answer::new(304, "Unchanged since `If-None-Match`.").header(etag_header()))
        .guarded()
        .refuses(
            404,
            &["not_found", "no_sample"],
            "no host \"web-9\" has reported; GET /api/performance/hosts lists those that have",
        )
}

fn performance_history() -> Operation {
    Operation::get("/api/performance/history", "performanceHistory")
        .is("Performance", "Samples after a cursor, or rows over a span")
        .about("With `after`: whole samples, only the new ones. Without: rows of `fields` from `from` to \
                 `to`, the last hour if neither is given. A step below three intervals gives samples as they \
                 are; a coarser one gives mean, `.min` and `.max` of each field. Times in rows are \
                 milliseconds since 1970. A row of nulls is the beginning of a hole.")
        .takes(Parameter::query("host", "Which host; this server without it.").of::<HostName>().example(json!("web-1")))
        .takes(Parameter::query("after", "A cursor, or 0 for the oldest sample that is kept whole.").of::<After>().example(json!("1f0c93ab-18")))
        .takes(Parameter::query("from", "ISO-8601, or milliseconds since 1970; before `to`. An hour before `to` without it.").of::<Moment>().example(json!("2026-01-23T09:00:00.000Z")))
        .takes(Parameter::query("to", "ISO-8601, or milliseconds since 1970; now without it.").of::<Moment>().example(json!("2026-01-23T10:00:00.000Z")))
        .takes(Parameter::query("step", "Seconds from row to row. Without it, the finest that gives at most 1500 rows. At most 10000 \
                 rows fit in one answer.").schema(json!({ "type": "number", "minimum": 0.25, "maximum": 86_400 })).example(json!(60)))
        .takes(Parameter::query("fields", "Names of figures with commas between them; `core:*` names all that begin so.").example(json!("cpu,core:*")))
        .takes(Parameter::if_none_match())
        .writes::<History>(200, "Samples or rows.", json!({
                "host": "web-1", "cursor": "1f0c93ab-18", "from": "2026-01-23T09:00:00.000Z",
                "to": "2026-01-23T10:00:00.000Z", "step_ms": 60_000,
                "fields": ["time", "cpu", "cpu.min", "cpu.max"],
                "samples": [[1_769_158_800_000_u64, 23.14, 8.2, 61], [1_769_158_860_000_u64, null, null, null]],
            }))
        .answers(Answer::new(304, "Unchanged since `If-None-Match`.").header(etag_header()))
        .refuses(400, &["invalid_request", "invalid_cursor"], "\"step\" is \"0\"; expected seconds, 0.25 to 86400")
        .guarded()
        .refuses(404, &["not_found"], "no host \"web-9\" has reported; GET /api/performance/hosts lists those that have")
        .refuses(503, &["storage_failed", "shutting_down", "busy"], "the log is closing; publish again after the restart")
}

fn hosts() -> Operation {
    Operation::get("/api/performance/hosts", "hosts")
        .is("Performance", "Every host that reports")
        .about(
            "`stale` is true when nothing was heard of a host for two and a half of its intervals, whatever \
                 time its newest sample names.",
        )
        .writes::<Hosts>(
            200,
            "The hosts.",
            json!({
                "hosts": [
                    {
                        "host": "web-1", "own": false, "channel": "performance_web-1", "interval_ms": 1_000,
                        "time": "2026-01-23T10:00:03.000Z", "heard": "2026-01-23T10:00:03.200Z",
                        "stale": false, "machines": 1, "cpu": 23.1, "memory": 25.0,
                        "since": "2026-01-22T10:00:03.000Z",
                    },
                ],
                "now": "2026-01-23T10:00:03.400Z",
            }),
        )
        .guarded()
}

fn forget_host() -> Operation {
    Operation::delete("/api/performance/hosts/{id}", "forgetHost")
        .is("Performance", "Forget a host and its history")
        .takes(Parameter::path("id", "The host's name.").of::<HostName>().example(json!("web-1")))
        .answers(Answer::new(204, "It is forgotten."))
        .guarded()
        .refuses(
            404,
            &["not_found"],
            "no host \"web-9\" has reported; GET /api/performance/hosts lists those that have",
        )
        .refuses(
            409,
            &["host_taken"],
            "vm is the name of this server itself; report under another one (--host)",
        )
        .refuses(
            503,
            &["storage_failed", "shutting_down", "busy"],
            "the log is closing; publish again after the restart",
        )
}

fn report_samples() -> Operation {
    Operation::post("/api/performance/hosts/{id}/samples", "reportSamples")
        .is("Performance", "Report samples of a host")
        .about(
            "What `anywire monitor --to` sends. Samples that are not newer than the host's last one are \
                 repetitions and change nothing. If `sent_at` is more than two seconds off the server's \
                 clock, all times are moved by the difference. A sample later than `sent_at` is moved to \
                 before it. If the host's last sample is later than `sent_at`, a clock went back: a new run \
                 begins, in which every sample is new. Two reporters of one name are told by `machines`, \
                 if each sends its own `instance`.",
        )
        .takes(Parameter::path("id", "The host's name.").of::<HostName>().example(json!("web-1")))
        .reads::<Report>(json!({
            "sent_at": "2026-01-23T10:00:03.200Z", "instance": "9f86d081884c7d65",
            "samples": [
                {
                    "time": "2026-01-23T10:00:03.000Z", "interval_ms": 1_000,
                    "cpu": { "percent": 23.1, "cores": [20.1, 26.1] }, "load": [0.52, 0.4, 0.31],
                    "memory": {
                        "total": 8_589_934_592_u64, "used": 2_147_483_648_u64,
                        "available": 6_442_450_944_u64, "swap_total": 0, "swap_used": 0,
                    },
                    "disks": [
                        {
                            "mount": "/", "total": 270_553_174_016_u64, "used": 111_000_000_000_u64,
                            "read_per_second": 0.0, "written_per_second": 81920.0,
                        },
                    ],
                    "network": { "received_per_second": 4210.0, "sent_per_second": 18300.0 },
                    "process": {
                        "cpu_percent": 1.2, "memory": 33_259_520, "threads": 7, "open_files": 41,
                        "uptime_s": 3_600,
                    },
                    "uptime_s": 14_545, "delivery": null, "memory_per_connection": null,
                },
            ],
        }))
        .writes::<Reported>(
            200,
            "They are kept.",
            json!({ "cursor": "1f0c93ab-18", "accepted": 1, "repeated": 0, "moved": 0, "machines": 1 }),
        )
        .refuses(400, &["invalid_request", "body_broken"], "cpu.percent is 300; expected 0 to 100")
        .guarded()
        .refuses(
            409,
            &["host_taken"],
            "vm is the name of this server itself; report under another one (--host)",
        )
        .refuses(413, &["too_large"], "the body has more than 8388608 bytes; send fewer samples at a time")
        .refuses(
            429,
            &["too_many_hosts"],
            "64 hosts report already, the limit (monitor.hosts_max); forget one with DELETE \
                 /api/performance/hosts/<host>",
        )
        .refuses(
            503,
            &["storage_failed", "shutting_down", "busy"],
            "the log is closing; publish again after the restart",
        )
        .refuses(
            507,
            &["storage_full"],
            "no room to store events in data/log: the disk is full; free disk space, reading goes on",
        )
}

fn alerts() -> Operation {
    Operation::get("/api/performance/alerts", "alerts")
        .is("Performance", "Rules, alerts that stand, and past ones")
        .about(
            "Turns are published as `alert_raised` and `alert_cleared` on the channel \
                 `performance:alerts`. Subscribe from `cursor`: nothing falls between; an alert that turned \
                 at that moment may come once more.",
        )
        .writes::<Alerts>(200, "All about alerts.", example_alerts())
        .guarded()
}

fn set_rules() -> Operation {
    Operation::put("/api/performance/alerts", "setRules")
        .is("Performance", "Replace the rules of alerts")
        .about(
            "A rule is about a figure that the history of hosts has, or about `silence`: seconds since a host \
                 was last heard of. When a host is silent for longer than such a rule says (60 s where there \
                 is none), its other alerts end.",
        )
        .reads::<Rules>(json!({
            "rules": [
                {
                    "id": "cpu", "figure": "cpu", "side": "above", "raise": 90.0, "clear": 75.0,
                    "for_s": 30, "enabled": true,
                },
            ],
        }))
        .writes::<Alerts>(200, "The new state.", example_alerts())
        .refuses(
            400,
            &["invalid_request", "body_broken"],
            "rule \"cpu\": raise is 90 and clear is 95; clear must be on the good side of raise, or equal",
        )
        .guarded()
        .refuses(413, &["too_large"], "the body has more than 8388608 bytes; send fewer samples at a time")
        .refuses(
            503,
            &["storage_failed", "shutting_down", "busy"],
            "the log is closing; publish again after the restart",
        )
        .refuses(
            507,
            &["storage_full"],
            "no room to store events in data/log: the disk is full; free disk space, reading goes on",
        )
}

fn example_alerts() -> Value {
    json!({
        "channel": "performance:alerts", "cursor": "1f0c93ab-42817", "webhook": false,
        "rules": [
            {
                "id": "cpu", "figure": "cpu", "side": "above", "raise": 90.0, "clear": 75.0,
                "for_s": 30, "enabled": true,
            },
        ],
        "active": [
            {
                "state": "raised", "host": "web-1", "rule": "cpu", "figure": "cpu", "side": "above",
                "value": 97.2, "threshold": 90.0, "since": "2026-01-23T10:00:03.000Z",
                "at": "2026-01-23T10:00:03.000Z",
            },
        ],
        "recent": [
            {
                "state": "raised", "host": "web-1", "rule": "cpu", "figure": "cpu", "side": "above",
                "value": 97.2, "threshold": 90.0, "since": "2026-01-23T10:00:03.000Z",
                "at": "2026-01-23T10:00:03.000Z",
            },
        ],
    })
}

fn etag_header() -> Header {
    Header::new("ETag", "The cursor in quotes.").shared()
}
