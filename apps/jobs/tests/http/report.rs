//! From a file to its report, over every kind of file that people have.

use anywire_jobs::JobsConfig;
use serde_json::{Value, json};

use crate::support::World;

async fn failed(world: &World, bytes: &[u8]) -> Value {
    let id = world.upload("x.csv", bytes).await;
    world.until_status(&id, "failed").await["error"].clone()
}

async fn page(world: &World, bytes: &[u8]) -> String {
    let id = world.upload("x.csv", bytes).await;
    world.until(&id, |state| state["status"] == "succeeded" || state["status"] == "failed").await;
    world.get(&format!("/api/jobs/{id}/report")).await.expect(200).text()
}

#[tokio::test]
async fn a_fault_in_some_rows_gives_a_report_that_counts_and_names_them() {
    let world = World::new().await;
    let id = world.upload("x.csv", b"a,b\n1,2\n3\n4,\"5\n").await;
    let state = world.until_status(&id, "succeeded").await;
    assert_eq!(state["result"]["faults"], json!({ "short_rows": 1, "quotes": 1 }));
    assert_eq!((&state["result"]["rows"], &state["result"]["header_line"]), (&json!(3), &json!(1)));
    let page = world.get(&format!("/api/jobs/{id}/report")).await.expect(200).text();
    assert!(page.contains("Rows with fewer fields than there are columns: 1."), "{page}");
    assert!(page.contains("3:2") && page.contains("4:3"), "{page}");
}

#[tokio::test]
async fn a_file_past_a_limit_fails_at_its_step_with_line_and_column_and_can_be_retried() {
    let world = World::new().await;
    let long = [b"a,b\n1,2\n3,".to_vec(), vec![b'x'; 2 << 20]].concat();
    let id = world.upload("x.csv", &long).await;
    let state = world.until_status(&id, "failed").await;
    let message = "line 3, column 1048577: the row is longer than 1048576 bytes, the limit; is a quote or a line \
                   end missing?";
    assert_eq!(
        state["error"],
        json!({ "step": "parse", "message": message, "line": 3, "column": 1_048_577 })
    );
    assert_eq!(state["step_name"], "parse");
    assert_eq!(world.get(&format!("/api/jobs/{id}/report")).await.error(), (404, "no_report".to_owned()));
    world.get(&format!("/api/jobs/{id}/upload")).await.expect(200);
    let again = world.post(&format!("/api/progress/{id}/retry"), "").await.expect(200).json();
    assert_eq!((&again["status"], &again["percent"]), (&json!("queued"), &json!(50)));
    assert_eq!(again["steps"].as_array().expect("steps").len(), 1);
}

#[tokio::test]
async fn files_that_no_report_can_be_made_of_are_refused_with_a_clear_reason() {
    let world = World::new().await;
    let mut wide = (0..10_000).map(|column| format!("c{column}")).collect::<Vec<_>>().join(",");
    wide.push('\n');
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("dialect", b"".to_vec(), "the file is empty"),
        ("dialect", b"\n\n \n".to_vec(), "nothing but white space"),
        ("dialect", b"PK\x03\x04\x14\0".to_vec(), "an Excel workbook or a ZIP archive"),
        ("dialect", (0..=255).cycle().take(5000).collect(), "binary data"),
        ("parse", wide.into_bytes(), "10000 columns, and at most 500 are read; leave some of them out"),
    ];
    for (step, bytes, message) in cases {
        let error = failed(&world, &bytes).await;
        assert_eq!(error["step"], step, "{error}");
        assert!(error["message"].as_str().expect("a message").contains(message), "{error}");
    }
}

#[tokio::test]
async fn one_endless_line_is_refused_without_being_held_in_memory() {
    let world = World::new().await;
    let error = failed(&world, &[b"a,b\n".to_vec(), vec![b'x'; 20 << 20]].concat()).await;
    assert_eq!((&error["step"], &error["line"]), (&json!("parse"), &json!(2)));
    assert!(error["message"].as_str().expect("a message").contains("longer than 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn what_a_cell_says_is_text_on_the_page_and_scripts_are_forbidden_there() {
    let world = World::new().await;
    let csv =
        "<img src=x onerror=alert(1)>,b\n<script>alert(1)</script>,\"\"\"><svg onload=alert(1)>\"\nx,y\n";
    let id = world.upload("<script>alert(2)</script>.csv", csv.as_bytes()).await;
    world.until_status(&id, "succeeded").await;
    let answer = world.get(&format!("/api/jobs/{id}/report")).await.expect(200);
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("sandbox allow-forms;")
            && policy.contains("default-src 'none'")
            && !policy.contains("script"),
        "{policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let page = answer.text();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for markup in ["<script", "<img", "<svg onload", "onerror=alert(1)>"] {
        assert!(!page.contains(markup), "{markup}");
    }
}

#[tokio::test]
async fn a_page_begins_in_the_language_that_the_reader_prefers() {
    let world = World::new().await;
    let id = world.upload("x.csv", b"a,b\n1,2\n").await;
    world.until_status(&id, "succeeded").await;
    let path = format!("/api/jobs/{id}/report");
    let begins = async |path: &str, accept: &str| {
        let answer = world.call("GET", path, &[("accept-language", accept)], "").await.expect(200);
        answer.text().contains("<html lang=\"vi\"")
    };
    assert!(begins(&path, "vi-VN,vi;q=0.9,en;q=0.5").await);
    assert!(!begins(&path, "en-GB,vi;q=0.5").await);
    assert!(begins(&format!("{path}?lang=vi"), "en").await);
    assert!(!begins(&format!("{path}?lang=en"), "vi").await);
}

#[tokio::test]
async fn a_report_is_made_anew_in_the_reading_that_was_chosen() {
    let world = World::new().await;
    let id = world.upload("x.csv", "city;lat\nHanoi;21.028\nHue;16.463\n".as_bytes()).await;
    let made = world.until_status(&id, "succeeded").await;
    let path = format!("/api/jobs/{id}/report");
    let own = world.get(&path).await.expect(200).text();
    assert!(own.contains("can be read in two ways") && own.contains("21.028"), "{own}");
    let comma = world.get(&format!("{path}?decimal=comma&delimiter=&lang=en")).await.expect(200).text();
    assert!(comma.contains("21,028") && !comma.contains("can be read in two ways"), "{comma}");
    assert!(comma.contains("<option value=\"comma\" selected>") && comma.contains("value=\"en\""), "{comma}");
    let text = world.get(&format!("{path}?column.2=text&header=none")).await.expect(200).text();
    assert!(
        text.contains("#2") && text.contains("Characters") && text.contains("value=\"text\" selected"),
        "{text}"
    );
    // The job keeps the report that it made.
    assert_eq!(world.get(&path).await.expect(200).text(), own);
    assert_eq!(world.updates(&id).await.last(), Some(&made));
    let refused = async |choice: &str| {
        let answer = world.get(&format!("{path}?{choice}")).await;
        let message = answer.json()["message"].as_str().expect("a message").to_owned();
        (answer.error(), message)
    };
    let (error, message) = refused("decimal=dot").await;
    assert_eq!(error, (400, "invalid_request".to_owned()));
    assert_eq!(message, "decimal is \"dot\"; use auto, point or comma");
    assert!(refused("header=9").await.1.contains("no row begins in line 9"));
    assert!(refused("delimiter=;&quote=;").await.1.contains("different signs"));
}

#[tokio::test]
async fn the_form_is_left_out_of_a_copy_and_says_that_it_is_one() {
    let world = World::new().await;
    let id = world.upload("x.csv", b"a,b\n1,2\n").await;
    world.until_status(&id, "succeeded").await;
    let path = format!("/api/jobs/{id}/report");
    let served = world.get(&format!("{path}?token=%22%3E&lang=vi")).await.expect(200).text();
    assert!(served.contains("<form method=\"get\"") && served.contains("value=\"&quot;&gt;\""), "{served}");
    let copy = world.get(&format!("{path}?form=none")).await.expect(200).text();
    assert!(!copy.contains("<form") && copy.contains("open the report on its server"), "{copy}");
}

#[tokio::test]
async fn a_report_in_another_reading_needs_the_file_and_not_the_first_report() {
    let world = World::new().await;
    let id = world.upload("x.csv", &[b"a\n".to_vec(), vec![b'x'; 2 << 20]].concat()).await;
    world.until_status(&id, "failed").await;
    let path = format!("/api/jobs/{id}/report?header=none");
    let answer = world.get(&path).await;
    assert_eq!(answer.error(), (400, "invalid_request".to_owned()));
    assert!(answer.json()["message"].as_str().expect("a message").contains("line 2, column 1048577"));
    let never = world.post("/api/progress", r#"{"title":"x","total_steps":1}"#).await.expect(201).json();
    let id = never["session_id"].as_str().expect("a name");
    let missing = world.get(&format!("/api/jobs/{id}/report?header=none")).await.error();
    assert_eq!(missing, (404, "no_upload".to_owned()));
}

#[tokio::test]
async fn reports_made_anew_past_the_limit_are_told_to_come_back_and_stop_when_nobody_waits() {
    let config = JobsConfig { reports_running_max: 1, ..JobsConfig::default() };
    let world = World::with(config, std::sync::Arc::new(anywire_log::SystemClock)).await;
    let id = world.upload("x.csv", &[b"a,b\n".to_vec(), b"1,2\n".repeat(500_000)].concat()).await;
    world.until_status(&id, "succeeded").await;
    let path = format!("/api/jobs/{id}/report?header=none");
    let mut first = Box::pin(world.get(&path));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert_eq!(world.get(&path).await.error(), (503, "busy".to_owned()));
    // The job's own report is made by nobody.
    world.get(&format!("/api/jobs/{id}/report")).await.expect(200);
    drop(first);
    let again = async {
        while world.get(&path).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), again).await.expect("its place is free again");
}

#[tokio::test]
async fn every_encoding_and_dialect_is_read() {
    let world = World::new().await;
    let utf16: Vec<u8> = "\u{feff}tên,giá\nvàng,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(page(&world, &utf16).await.contains("UTF-16LE + BOM"));
    let windows = page(&world, b"t\xean;gi\xe1\nv\xe0ng;1,5\nb\xe1c;2,5\n").await;
    assert!(windows.contains("windows-1252") && windows.contains("vàng") && windows.contains("decimal"));
    assert!(page(&world, "\u{feff}a\tb\r\nx\t2\r\n".as_bytes()).await.contains("UTF-8 + BOM"));
}

#[tokio::test]
async fn a_file_with_only_a_header_has_a_report_that_says_so() {
    let world = World::new().await;
    assert!(page(&world, b"a,b,c\n").await.contains("The file has a header but no rows."));
}

#[tokio::test]
async fn cells_of_another_type_are_counted_with_an_example() {
    let world = World::new().await;
    let mut csv = "n\n".to_owned();
    (0..30).for_each(|number| csv.push_str(&format!("{number}\n")));
    csv.push_str("<b>oops</b>\n");
    let page = page(&world, csv.as_bytes()).await;
    assert!(page.contains("<q>&lt;b&gt;oops&lt;/b&gt;</q> in line 32"), "{page}");
}

#[tokio::test]
async fn prices_get_candles_with_averages() {
    let world = World::new().await;
    let mut csv = "Date,Open,High,Low,Close,Volume\n".to_owned();
    for day in 1..=60 {
        let (month, date) = (1 + (day - 1) / 28, 1 + (day - 1) % 28);
        let price = 100 + day % 7;
        csv.push_str(&format!(
            "2024-{month:02}-{date:02},{price},{},{},{},{}\n",
            price + 2,
            price - 2,
            price + 1,
            1000 * day
        ));
    }
    let page = page(&world, csv.as_bytes()).await;
    assert!(
        page.contains("class=\"average short\"")
            && page.contains("class=\"volume up\"")
            && page.contains("Last close")
    );
}

#[tokio::test]
async fn reports_past_the_limit_wait_in_the_queue_and_are_all_made() {
    let config = JobsConfig { reports_running_max: 1, ..JobsConfig::default() };
    let world = World::with(config, std::sync::Arc::new(anywire_log::SystemClock)).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(world.upload("x.csv", b"a,b\n1,2\n").await);
    }
    for id in &ids {
        world.until_status(id, "succeeded").await;
    }
}

#[tokio::test]
async fn a_report_in_the_making_stops_when_it_is_cancelled() {
    let world = World::new().await;
    let csv = [b"a,b\n".to_vec(), b"1,2\n".repeat(4_000_000)].concat();
    let id = world.upload("x.csv", &csv).await;
    world.until(&id, |state| state["step_name"] == "parse").await;
    let cancelled = world.post(&format!("/api/progress/{id}/cancel"), "").await.expect(200).json();
    assert_eq!(cancelled["status"], "cancelled");
    let retried = world.post(&format!("/api/progress/{id}/retry"), "").await.expect(200).json();
    assert_eq!(retried["status"], "queued");
    world.until(&id, |state| state["status"] == "running" && state["step_name"] == "checksum").await;
}

#[tokio::test]
async fn a_report_in_the_making_is_interrupted_when_the_server_stops_and_can_be_retried() {
    let mut world = World::new().await;
    let csv = [b"a,b\n".to_vec(), b"1,2\n".repeat(2_000_000)].concat();
    let id = world.upload("x.csv", &csv).await;
    world.until(&id, |state| state["step_name"] == "parse").await;
    world.stop().await;
    assert_eq!(world.updates(&id).await.last().expect("one")["status"], "interrupted");
    world.start().await;
    world.post(&format!("/api/progress/{id}/retry"), "").await.expect(200);
    let done = world.until_status(&id, "succeeded").await;
    assert_eq!(done["result"]["rows"], 2_000_000);
}

#[tokio::test]
async fn a_volume_that_counts_up_is_a_measure_and_a_number_that_does_is_a_name() {
    let world = World::new().await;
    let named = async |column: &str| {
        let mut csv = format!("{column},city\n");
        (0..1500).for_each(|row| csv.push_str(&format!("{},Huế\n", 10_000 + row)));
        let page = page(&world, csv.as_bytes()).await;
        assert!(page.contains("<span lang=\"en\">1,500</span><span lang=\"vi\">1.500</span>"), "{page}");
        page.contains("it names the rows")
    };
    assert!(named("id").await);
    assert!(!named("Volume").await && !named("Khối lượng").await);
}

#[tokio::test]
async fn one_hour_is_not_many() {
    let world = World::new().await;
    let mut csv = "time,open,high,low,close\n".to_owned();
    (0..120).for_each(|hour| {
        csv.push_str(&format!("2024-01-{:02} {:02}:00,1,3,1,2\n", 1 + hour / 24, hour % 24))
    });
    assert!(page(&world, csv.as_bytes()).await.contains("hour a candle"));
}
