//! A day of samples from twenty hosts, and what asking for it costs the server.
//!
//! ```sh
//! anywire serve --data /tmp/day &
//! cargo run --release -p anywire-monitor --example day -- http://127.0.0.1:8000 $!
//! ```

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anywire_monitor::{Collector, Sample};
use serde_json::json;

type Failure = Box<dyn std::error::Error>;

const HOSTS: usize = 20;
/// Five minutes less than a day, so that nothing of it gets too old while it is measured.
const SPAN_S: i64 = 86_400 - 300;
const REPORT_S: i64 = 600;
/// How many questions are asked of each kind.
const QUESTIONS: u32 = 100;
const PAGE: &str = "&fields=cpu,memory,swap,load1,disk,disk_read,disk_written,received,sent,process_cpu,process_memory,core:*,disk:*";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, pid] = arguments.as_slice() else { return Err("use: day URL PID".into()) };
    let server = Server {
        agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
        url: url.clone(),
        pid: pid.clone(),
        start: (now_ms()? / 1000 - SPAN_S) * 1000,
    };
    server.fill()?;
    server.ask("an hour at 5 s, 12 figures", 3600, "")?;
    server.ask("an hour at 1 s, 12 figures", 3600, "&step=1")?;
    server.ask("an hour at 1 s, what the page asks for", 3600, &format!("&step=1{PAGE}"))?;
    server.ask("a day of minutes, what the page asks for", SPAN_S, PAGE)
}

struct Server {
    agent: ureq::Agent,
    url: String,
    pid: String,
    start: i64,
}

impl Server {
    fn fill(&self) -> Result<(), Failure> {
        let like = Collector::new()?.collect(0, 1000, None);
        let (began, before) = (Instant::now(), self.cpu_ms()?);
        for from in (0..SPAN_S).step_by(REPORT_S as usize) {
            for host in 0..HOSTS {
                let seconds = from..(from + REPORT_S).min(SPAN_S);
                let samples: Vec<Sample> =
                    seconds.map(|second| sample(&like, self.start, second, host)).collect();
                self.report(host, &samples)?;
            }
        }
        let count = HOSTS as f64 * SPAN_S as f64;
        println!(
            "{count} samples in {:.1} s, {:.1} µs of the server's processor time each; it has {:.0} MB in memory",
            began.elapsed().as_secs_f64(),
            (self.cpu_ms()? - before) * 1000.0 / count,
            self.resident_mb()?
        );
        Ok(())
    }

    fn report(&self, host: usize, samples: &[Sample]) -> Result<(), Failure> {
        let body = json!({ "sent_at": now_ms()?.to_string(), "samples": samples }).to_string();
        let target = format!("{}/api/performance/hosts/bench-{host}/samples", self.url);
        let mut answer = self.agent.post(target).send(body)?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(answer.body_mut().read_to_string()?.into())
    }

    /// Asks for spans here and there, of one host after the other.
    fn ask(&self, name: &str, span_s: i64, more: &str) -> Result<(), Failure> {
        let (before, began, mut bytes, mut worst_ms) = (self.cpu_ms()?, Instant::now(), 0, 0.0_f64);
        for question in 0..QUESTIONS {
            let host = question as usize * 7 % HOSTS;
            let room = SPAN_S - span_s;
            let from = self.start + if room > 0 { i64::from(question) * 7919 % room * 1000 } else { 0 };
            let to = from + span_s * 1000;
            let target =
                format!("{}/api/performance/history?host=bench-{host}&from={from}&to={to}{more}", self.url);
            let asked = Instant::now();
            bytes +=
                self.agent.get(target).call()?.body_mut().with_config().limit(64 << 20).read_to_vec()?.len();
            worst_ms = worst_ms.max(asked.elapsed().as_secs_f64() * 1000.0);
        }
        let questions = f64::from(QUESTIONS);
        println!(
            "{name}: {:.1} ms of processor time, here after {:.1} ms (worst {worst_ms:.1}), {:.0} kB",
            (self.cpu_ms()? - before) / questions,
            began.elapsed().as_secs_f64() * 1000.0 / questions,
            bytes as f64 / questions / 1000.0
        );
        Ok(())
    }

    /// Its processor time so far (proc(5): fields 14 and 15 of `stat`, in hundredths of a second).
    fn cpu_ms(&self) -> Result<f64, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let fields: Vec<&str> = text.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
        Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) * 10.0)
    }

    fn resident_mb(&self) -> Result<f64, Failure> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse::<f64>()? / 1000.0)
    }
}

fn now_ms() -> Result<i64, Failure> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// Like a real one; hosts sample at moments of their own, and not quite at their beat.
fn sample(like: &Sample, start: i64, second: i64, host: usize) -> Sample {
    let wave = |period: f64, high: f64| ((second as f64 / period + host as f64).sin() + 1.0) / 2.0 * high;
    let mut sample = like.clone();
    sample.time = start + second * 1000 + (host as i64 * 37) + (second * 7919 % 5);
    sample.cpu.percent = wave(300.0, 900.0).round() / 10.0;
    for (core, value) in sample.cpu.cores.iter_mut().enumerate() {
        *value = wave(17.0 + core as f64, 1000.0).round() / 10.0;
    }
    sample.memory.used = sample.memory.total / 4 + wave(900.0, 1e8) as u64;
    sample.load = [wave(60.0, 4.0), wave(300.0, 4.0), wave(900.0, 4.0)];
    if let Some(network) = &mut sample.network {
        network.received_per_second = wave(13.0, 1e6).round();
        network.sent_per_second = wave(19.0, 3e6).round();
    }
    sample
}
