/**
 * Measures the pipeline on a real Kafka broker on this machine.
 *
 *   node bench/pipeline.mjs throughput [--records 400000]
 *     records a second by schema and CPU a record, beside kcat reading the same topic
 *   node bench/pipeline.mjs latency [--seconds 30] [--rate 500] [--browsers 50]
 *     from the record's time to 50 SSE readers; the first five seconds warm the broker up and are told apart
 *   node bench/pipeline.mjs idle [--seconds 60]
 *     bytes and requests of the console's page in Chromium and of a Socket.IO client on which nothing happens
 *
 * Needs `cargo build --release -p anywire --features kafka`, Java, Maven and kcat; ANYWIRE_BIN names another
 * binary. `idle` also needs Chromium and `npm ci` in e2e/.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "..");
const script = join(root, "xtask/kafka/broker.sh");
const binary = process.env.ANYWIRE_BIN ?? join(root, "target/release/anywire");
const TICKS_A_SECOND = 100;
const PATIENCE_MS = 300_000;
/** Until the broker's code is compiled, and the producer has sent what it fell behind while it connected. */
const WARM_UP_MS = 5000;

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};

async function until(what, ask) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await Promise.resolve(ask()).catch(() => null);
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/** CPU seconds of a process, of all its threads. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

function start(program, args, ready) {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  return until(`${program} is ready`, ready).then(() => child);
}

async function world(lines) {
  const dir = mkdtempSync(join(tmpdir(), "anywire-bench-"));
  const [kafkaPort, port] = [await freePort(), await freePort()];
  const brokers = `127.0.0.1:${kafkaPort}`;
  const broker = await start(script, ["run", join(dir, "kafka"), String(kafkaPort)], () => run("kcat", ["-b", brokers, "-L", "-m", "2"]));
  const config = join(dir, "anywire.toml");
  const logging = '[logging]\nlevel = "warn"\n';
  writeFileSync(config, `${logging}[pipeline]\nkafka = "${brokers}"\ntopics = ["bench"]\npartitions = 4\n${lines(dir)}\n`);
  const url = `http://127.0.0.1:${port}`;
  const server = await start(binary, ["serve", "--listen", `127.0.0.1:${port}`, "--data", join(dir, "data"), "--config", config], async () => {
    const { topics } = await (await fetch(`${url}/api/producers/topics`)).json();
    return topics.length > 0;
  });
  const end = () => {
    for (const child of [server, broker]) child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  };
  return { brokers, url, port, server, end };
}

const counters = async (url) => (await fetch(`${url}/api/consumers/statistics`)).json();
const post = (url, path, body) => fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });

async function produceAll(brokers, count) {
  const child = spawn("kcat", ["-b", brokers, "-t", "bench", "-P"], { stdio: ["pipe", "ignore", "inherit"] });
  for (let n = 0; n < count; n += 1000) {
    const lines = Array.from({ length: 1000 }, (_, m) => `{"name":"record ${n + m}","value":${n + m}}\n`).join("");
    if (!child.stdin.write(lines)) await once(child.stdin, "drain");
  }
  child.stdin.end();
  await once(child, "exit");
}

async function throughput() {
  const records = option("records", 400_000);
  const { brokers, url, server, end } = await world((dir) => {
    const schema = { type: "object", required: ["name"], properties: { name: { type: "string" }, value: { type: "number" } } };
    writeFileSync(join(dir, "schema.json"), JSON.stringify(schema));
    return `consumers = 0\nschema = ${JSON.stringify(join(dir, "schema.json"))}`;
  });
  await produceAll(brokers, records);
  const peer = spawn("bash", ["-c", `time kcat -b ${brokers} -t bench -C -e -q -o beginning > /dev/null`], { stdio: ["ignore", "ignore", "pipe"] });
  let timed = "";
  peer.stderr.on("data", (text) => (timed += text));
  const before = cpuSeconds(server.pid);
  const began = Date.now();
  await post(url, "/api/consumers", {});
  await until("all are processed", async () => (await counters(url)).processedMessages >= records);
  const seconds = (Date.now() - began) / 1000;
  const cpu = cpuSeconds(server.pid) - before;
  if (peer.exitCode === null) await once(peer, "exit");
  const of = (name) => {
    const found = new RegExp(`${name}\\s+(\\d+)m([\\d.]+)s`).exec(timed);
    return Number(found?.[1] ?? 0) * 60 + Number(found?.[2] ?? 0);
  };
  const peerCpu = of("user") + of("sys");
  console.log(JSON.stringify({
    records,
    seconds,
    recordsPerSecond: Math.round(records / seconds),
    cpuMicrosPerRecord: Number(((1e6 * cpu) / records).toFixed(2)),
    kcatCpuMicrosPerRecord: Number(((1e6 * peerCpu) / records).toFixed(2)),
    counters: await counters(url),
  }));
  end();
}

/** A browser as far as its wire goes: an SSE connection that notes when each record arrives. */
function reader(port, heard) {
  return new Promise((opened, failed) => {
    const request = get({ host: "127.0.0.1", port, path: "/anywire/sse?channels=pipeline" }, (response) => {
      let rest = "";
      response.setEncoding("utf8");
      response.on("data", (text) => {
        const now = Date.now();
        heard.bytes += text.length;
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const found = /"partition":(\d+),"offset":"(\d+)"/.exec(line);
          if (found) heard.times.push([`${found[1]}/${found[2]}`, now]);
        }
      });
      opened(request);
    });
    request.once("error", failed);
  });
}

const quantiles = (delays) => {
  const sorted = Float64Array.from(delays).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { deliveries: sorted.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: sorted.at(-1) };
};

/** When each record was made, by its place. */
async function recordTimes(brokers) {
  const format = ["-f", "%p/%o %T\\n"];
  const { stdout } = await run("kcat", ["-b", brokers, "-t", "bench", "-C", "-e", "-q", "-o", "beginning", ...format], { maxBuffer: 1 << 28 });
  return new Map(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" "))
      .map(([place, time]) => [place, Number(time)]),
  );
}

async function latency() {
  const [seconds, rate, browsers] = [option("seconds", 30), option("rate", 500), option("browsers", 50)];
  const { brokers, port, server, end } = await world(() => "");
  const heard = Array.from({ length: browsers }, () => ({ bytes: 0, times: [] }));
  const requests = await Promise.all(heard.map((one) => reader(port, one)));
  const total = seconds * rate + (WARM_UP_MS * rate) / 1000;
  const before = cpuSeconds(server.pid);
  // Not kcat: it reads its input in blocks, so that small records would leave in bursts.
  const load = ["--topic", "bench", "--num-records", String(total), "--throughput", String(rate), "--payload-monotonic"];
  await run(script, ["produce", brokers.split(":")[1], ...load]);
  await until("every browser heard of every record", () => heard.every((one) => one.times.length >= total));
  const cpu = cpuSeconds(server.pid) - before;
  const made = await recordTimes(brokers);
  let start = Number.POSITIVE_INFINITY;
  for (const time of made.values()) start = Math.min(start, time);
  const all = heard.flatMap((one) => one.times.map(([place, at]) => [made.get(place), at]));
  const delays = (from, to) => quantiles(all.filter(([time]) => time - start >= from && time - start < to).map(([time, at]) => at - time));
  console.log(JSON.stringify({
    seconds,
    rate,
    browsers,
    ...delays(WARM_UP_MS, Number.POSITIVE_INFINITY),
    warmUp: delays(0, WARM_UP_MS),
    cpuMicrosPerRecordAndBrowser: Number(((1e6 * cpu) / total / browsers).toFixed(2)),
  }));
  for (const request of requests) request.destroy();
  end();
}

const fromTests = createRequire(join(root, "e2e/package.json"));

/**
 * The console's page in Chromium. Counts payload bytes both ways, of frames and of answers, and what it asks
 * for.
 */
async function watchPage(url, heard) {
  const { chromium } = fromTests("playwright-core");
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: ["--headless", "--no-sandbox", "--disable-gpu"] });
  const page = await browser.newPage();
  const wire = await page.context().newCDPSession(page);
  await wire.send("Network.enable");
  for (const way of ["Received", "Sent"]) {
    wire.on(`Network.webSocketFrame${way}`, ({ response }) => (heard.bytes += Buffer.byteLength(response.payloadData)));
  }
  wire.on("Network.requestWillBeSent", () => (heard.requests += 1));
  wire.on("Network.webSocketCreated", () => (heard.requests += 1));
  wire.on("Network.dataReceived", ({ dataLength }) => (heard.bytes += dataLength));
  await page.goto(`${url}/pipeline`);
  await page.locator('[data-testid="records"]').waitFor();
  return browser;
}

/** The document's client, with what its transport carries both ways. */
async function watchClient(url, heard) {
  const { io } = fromTests("socket.io-client");
  const socket = io(url, { transports: ["websocket", "polling"] });
  await until("the client is connected", () => socket.connected);
  heard.requests += 1;
  socket.io.on("reconnect_attempt", () => (heard.requests += 1));
  const { engine } = socket.io;
  const bytes = ({ data }) => 1 + Buffer.byteLength(String(data ?? ""));
  engine.on("packet", (packet) => (heard.bytes += bytes(packet)));
  engine.on("packetCreate", (packet) => (heard.bytes += bytes(packet)));
  return socket;
}

async function idle() {
  const seconds = option("seconds", 60);
  const { url, end } = await world(() => '[[socketio.namespaces]]\nname = "/"\nchannels = ["pipeline"]');
  const heard = { page: { bytes: 0, requests: 0 }, client: { bytes: 0, requests: 0 } };
  const browser = await watchPage(url, heard.page);
  const socket = await watchClient(url, heard.client);
  // The page has settled when its last request is long ago.
  await sleep(10_000);
  const before = structuredClone(heard);
  await sleep(seconds * 1000);
  const perMinute = (who, what) => Math.round(((heard[who][what] - before[who][what]) * 60) / seconds);
  const figures = (who) => ({ bytesPerMinute: perMinute(who, "bytes"), requestsPerMinute: perMinute(who, "requests") });
  console.log(JSON.stringify({ seconds, page: figures("page"), socketio: figures("client") }));
  socket.disconnect();
  await browser.close();
  end();
}

const modes = { throughput, latency, idle };
const mode = modes[process.argv[2]];
if (!mode) throw new Error(`say which: ${Object.keys(modes).join(", ")}`);
await mode();
process.exit(0);
