// A stand-in for an Anywire server, in memory: enough of docs/http-api.md to develop the console's pages without one.
// Not a reference: no durability, no retention, no WebSocket. `node mock/server.mjs [port]`
import { createServer } from "node:http";

const port = Number(process.argv[2] ?? 8000);
const epoch = "1f0c93ab";
const log = [];
const waiting = new Set();
const jobs = new Map();
const uploads = new Map();
const lab = { enabled: true, block_websocket: false, buffer_sse: false, cut_until: null, restarting: false };
const STEPS = ["receive", "checksum", "dialect", "parse", "validate", "statistics", "charts", "render", "publish"];
const startedAt = Date.now();
const iso = (at = Date.now()) => new Date(at).toISOString();
const cursor = () => `${epoch}-${log.length}`;
const cut = () => lab.cut_until !== null && Date.parse(lab.cut_until) > Date.now();

function append(channel, event, data) {
  const entry = { channel, event, offset: log.length + 1, time: iso(), data };
  log.push(entry);
  for (const wake of [...waiting]) wake();
  return entry.offset;
}

const after = (channels, position) => log.slice(position).filter((entry) => channels.includes(entry.channel));
const positionOf = (text) => (text === null ? log.length : Number(text.split("-")[1] ?? text));

function sse(request, response, query) {
  const channels = query.get("channels").split(",");
  let position = positionOf(request.headers["last-event-id"] ?? query.get("after"));
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(`retry: 1000\nid: ${epoch}-${position}\n\n`);
  const wake = () => {
    if (cut()) return response.destroy();
    for (const entry of after(channels, position))
      response.write(`id: ${epoch}-${entry.offset}\ndata: ${JSON.stringify(entry)}\n\n`);
    position = log.length;
  };
  waiting.add(wake);
  response.on("close", () => waiting.delete(wake));
  wake();
}

function change(job, fields) {
  const before = job.status;
  Object.assign(job, fields, { updated_at: iso() });
  job.cursor = `${epoch}-${log.length + 1}`;
  append(`progress_${job.session_id}`, "progress_update", { ...job });
  const { session_id, title, status, percent, step_name, updated_at } = job;
  if (before !== status)
    append("system_status", "job_changed", { session_id, title, status, percent, step_name, updated_at });
}

function beginStep(job, index) {
  const last = job.steps.at(-1);
  if (last) last.duration_ms ??= Date.now() - Date.parse(last.started_at);
  job.steps = [...job.steps, { index, name: STEPS[index - 1], started_at: iso(), duration_ms: null }];
  change(job, { step: index, step_name: STEPS[index - 1], percent: index === 1 ? 0 : 50 + (index - 1) * 6 });
}

function work(job, index) {
  if (job.status !== "running") return;
  if (index > 9) {
    job.steps.at(-1).duration_ms = 41;
    const result = {
      report_url: `/api/jobs/${job.session_id}/report`,
      rows: 20000,
      columns: 7,
      size_bytes: 48_211,
      sha256: "9f".repeat(32),
      duration_ms: 5210,
    };
    return change(job, { status: "succeeded", percent: 100, result, message: null });
  }
  beginStep(job, index);
  if (index === 4 && /bad/.test(job.title)) {
    const error = { step: "parse", message: "expected 7 fields, found 5", line: 213, column: 18 };
    return setTimeout(() => change(job, { status: "failed", error }), 300);
  }
  setTimeout(work, 150 + Math.random() * 700, job, index + 1);
}

function createUpload(request, response) {
  const metadata = Object.fromEntries(
    (request.headers["upload-metadata"] ?? "").split(",").map((pair) => {
      const [name, value] = pair.trim().split(" ");
      return [name, Buffer.from(value ?? "", "base64").toString()];
    }),
  );
  const id = metadata.session_id || crypto.randomUUID();
  const size = Number(request.headers["upload-length"]);
  const upload = { id, filename: metadata.filename, size_bytes: size, received_bytes: 0 };
  uploads.set(id, upload);
  const now = iso();
  const job = {
    session_id: id,
    title: metadata.filename,
    status: "queued",
    step: 0,
    total_steps: 9,
    step_name: null,
    percent: 0,
    message: null,
  };
  Object.assign(job, {
    metadata: { upload },
    steps: [],
    result: null,
    error: null,
    created_at: now,
    updated_at: now,
    cursor: cursor(),
  });
  jobs.set(id, job);
  job.status = "running";
  beginStep(job, 1);
  response.writeHead(201, { location: `/api/uploads/${id}`, "tus-resumable": "1.0.0", "anywire-session": id }).end();
}

function patchUpload(request, response, upload) {
  let got = 0;
  request.on("data", (chunk) => {
    got += chunk.length;
    if (cut()) request.destroy();
  });
  request.on("end", () => {
    upload.received_bytes += got;
    const job = jobs.get(upload.id);
    change(job, { percent: (upload.received_bytes / upload.size_bytes) * 50 });
    setTimeout(() => {
      response.writeHead(204, { "upload-offset": upload.received_bytes, "tus-resumable": "1.0.0" }).end();
      if (upload.received_bytes >= upload.size_bytes) work(job, 2);
    }, 250);
  });
}

const report = `<!doctype html><meta charset=utf-8><body style="font:15px system-ui;margin:40px;max-width:900px"><h1>Report</h1><p>20 000 rows, 7 columns.</p><svg viewBox="0 0 600 160"><path d="M0 120L60 90 120 100 180 60 240 70 300 40 360 66 420 30 480 44 540 20 600 34" fill="none" stroke="#0b7a6b" stroke-width="2"/></svg>`;

let previous = { events: 0, at: Date.now() };
function overview() {
  const rate = (log.length - previous.events) / Math.max(0.001, (Date.now() - previous.at) / 1000);
  const wave = Math.sin(Date.now() / 20_000);
  return {
    time: iso(),
    connections: { websocket: 3, sse: waiting.size, longpoll: 1, poll: 2, socketio: 0 },
    events_total: log.length,
    events_per_second: rate,
    bytes_per_second: rate * 310,
    deliveries_total: log.length * 3,
    deliveries_per_second: rate * 3,
    delivery_latency_ms: { p50: 0.4 + 0.1 * wave, p99: 2.1 + Math.random() },
    commit_latency_ms: { p50: 0.8 + 0.2 * wave, p99: 3 + Math.random() * 2 },
    resumes_total: 4,
    gaps_total: 0,
    slow_readers: 0,
    memory_bytes: 31_000_000,
    tail: cursor(),
  };
}
setInterval(() => {
  const sample = overview();
  previous = { events: log.length, at: Date.now() };
  if (!process.env.MOCK_SILENT) append("$overview", "overview", sample);
}, 1000);

const client = (index, transport, state) => ({
  client: `c-${index}`,
  transport,
  address: "127.0.0.1",
  user: index % 3 ? null : "mai",
  channels: ["$overview", `progress_${index}`].slice(index % 2),
  cursor: cursor(),
  acked: null,
  lag: state === "catching_up" ? 120 : 0,
  state,
  connected_at: iso(startedAt + index * 1000),
  resumes: index % 4,
  gaps: 0,
  delivered: log.length,
  bytes: log.length * 211,
});

function jobRoutes(method, path, query, response) {
  const send = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (path === "/api/jobs") {
    const all = [...jobs.values()].reverse().filter((job) => !query.get("state") || job.status === query.get("state"));
    return send(200, { jobs: all, cursor: cursor() });
  }
  const [, id, action] = /^\/api\/(?:progress|jobs)\/([^/]+)\/?(\w*)$/.exec(path) ?? [];
  const job = jobs.get(id);
  if (!job) return send(404, { code: "not_found", message: `no job ${id}` });
  if (method === "DELETE") jobs.delete(id);
  if (action === "cancel") change(job, { status: "cancelled" });
  if (action === "retry") {
    job.steps = [];
    change(job, { status: "running", error: null, result: null });
    work(job, 1);
  }
  if (action === "report") return response.writeHead(200, { "content-type": "text/html" }).end(report);
  return send(200, job);
}

function publish(body) {
  const { events, ...one } = JSON.parse(body);
  const offsets = (events ?? [one]).map(({ channel, event = "message", data = null }) => append(channel, event, data));
  return { cursor: cursor(), offsets };
}

function handle(request, response, body) {
  const { pathname: path, searchParams: query } = new URL(request.url, "http://mock");
  const send = (status, value) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
  const upload = uploads.get(path.split("/")[3]);
  if (cut() && path !== "/api/lab") return request.destroy();
  if (path === "/anywire/sse") return sse(request, response, query);
  if (path === "/anywire/publish") return send(200, publish(body));
  if (path === "/anywire/poll")
    return send(200, {
      cursor: cursor(),
      events: after(query.get("channels").split(","), positionOf(query.get("after"))),
      gap: null,
    });
  if (path === "/api/uploads") return createUpload(request, response);
  if (path.startsWith("/api/uploads/") && upload)
    return response
      .writeHead(200, {
        "upload-offset": upload.received_bytes,
        "upload-length": upload.size_bytes,
        "tus-resumable": "1.0.0",
      })
      .end();
  if (path === "/api/overview") return send(200, overview());
  if (path === "/api/health")
    return send(200, {
      status: "ok",
      live: true,
      ready: true,
      version: "0.1.0",
      epoch,
      tail: cursor(),
      uptime_s: (Date.now() - startedAt) / 1000,
      storage: { engine: "embedded", state: "ok", bytes: 5_242_880 },
    });
  if (path === "/api/delivery/clients") {
    const rows = ["websocket", "websocket", "sse", "longpoll", "poll", "websocket"].map((name, index) =>
      client(index, name, ["live", "catching_up", "live", "waiting", "live", "blocked"][index]),
    );
    return send(200, { total: rows.length, clients: rows });
  }
  if (path === "/api/lab/restart") return send(202, {});
  if (path === "/api/lab") {
    const { cut_ms, ...flags } = body ? JSON.parse(body) : {};
    Object.assign(lab, flags, cut_ms ? { cut_until: iso(Date.now() + cut_ms) } : {});
    return send(200, lab);
  }
  return jobRoutes(request.method, path, query, response);
}

createServer((request, response) => {
  const upload = uploads.get(request.url.split("/")[3]);
  if (request.method === "PATCH" && upload && !cut()) return patchUpload(request, response, upload);
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => handle(request, response, body));
}).listen(port, "127.0.0.1", () => console.log(`mock on http://127.0.0.1:${port}`));
