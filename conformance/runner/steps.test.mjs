/**
 * The steps against a server of a few lines: each passes where it should and fails where it should.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";
import { after, before, test } from "node:test";
import { Scene } from "./steps.mjs";

let server;
let base;
let counted = 0;

before(async () => {
  server = http.createServer(serve);
  server.on("upgrade", upgrade);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

function serve(request, response) {
  if (request.url === "/stream") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("retry: 5\nid: 1f0c93ab-1\n\nid: 1f0c93ab-2\nda");
    setTimeout(() => response.end('ta: {"n":2}\n\n: heartbeat\nid: 1f0c93ab-3\n\n'), 20);
  } else if (request.url === "/count") {
    counted += 1;
    response.end(JSON.stringify({ n: counted, at: `1f0c93ab-${counted}` }));
  } else if (request.url === "/slow") {
    setTimeout(() => response.end('{"late":true}'), 50);
  } else {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk)).on("end", () => answerWith(response, Buffer.concat(chunks)));
  }
}

function answerWith(response, body) {
  response.writeHead(200, { "x-cursor": "1f0c93ab-5", "content-length": body.length });
  response.end(body);
}

/** Sends a text, then what it was sent, then a close. */
function upgrade(request, socket) {
  const key = request.headers["sec-websocket-key"];
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  socket.write(Buffer.from([0x81, 7, ...Buffer.from('{"n":1}')]));
  const broken = request.url === "/broken";
  socket.on("data", () => {
    socket.write(broken ? Buffer.from([0x91, 0]) : Buffer.from([0x8a, 1, 0x61, 0x88, 4, 0x03, 0xe8, 0x6f, 0x6b]));
  });
  socket.on("error", () => socket.destroy());
}

async function run(steps) {
  const scene = new Scene({ url: base });
  try {
    for (const step of steps) {
      await scene.run(step);
    }
    return scene.names;
  } finally {
    scene.leave();
  }
}

const echo = (expect, json = { a: 1 }) => [{ request: { method: "POST", path: "/", json }, expect }];

test("an answer is compared in status, headers and body", async () => {
  const names = await run(echo({ status: 200, headers: { "x-cursor": "<cursor:c>", "x-other": null }, json: { a: "<integer>" } }));
  assert.equal(names.get("c"), "1f0c93ab-5");
  await assert.rejects(run(echo({ status: 201 })), /status: expected 201, got 200/);
  await assert.rejects(run(echo({ status: 200, headers: { "x-cursor": null } })), /header x-cursor/);
  await assert.rejects(run(echo({ status: 200, json: { a: 2 } })), /body\.a: expected 2, got 1/);
  await assert.rejects(run(echo({ status: 200, text: "{}" })), /body/);
});

test("a request is made again until its answer is as expected", async () => {
  const names = await run([{ request: { path: "/count" }, expect: { status: 200, json: { n: 3, at: "<cursor:c>" } }, until: true }]);
  assert.equal(names.get("c"), "1f0c93ab-3");
});

test("several requests on one connection have their answers in order", async () => {
  const requests = [1, 2].map((n) => ({ method: "POST", path: "/", json: { n } }));
  const expect = [1, 2].map((n) => ({ status: 200, json: { n } }));
  await run([{ pipeline: requests, expect }, { pipeline: requests, piece_bytes: 1, expect }]);
  await assert.rejects(run([{ pipeline: requests, expect: expect.reverse() }]), /body\.n: expected 2, got 1/);
});

test("an answer can be waited for later", async () => {
  await run([{ start: "p", path: "/slow" }, { answer: "p", expect: { status: 200, json: { late: true } } }]);
  await assert.rejects(run([{ answer: "q", expect: { status: 200 } }]), /nothing is open under the name q/);
});

test("a stream is read block by block, however it is cut", async () => {
  const open = { stream: "s", path: "/stream", expect: { status: 200, headers: { "content-type": "text/event-stream" } } };
  const first = { retry: "5", id: "1f0c93ab-1" };
  const rest = [{ id: "<cursor>", data: { n: 2 } }, { comment: "heartbeat", id: "<cursor:last>" }];
  await run([open, { blocks: "s", expect: [first, ...rest] }, { ended: "s" }]);
  await assert.rejects(run([open, { blocks: "s", expect: [{ id: "1f0c93ab-1" }] }]), /block 0\.retry is not expected/);
  await assert.rejects(run([open, { blocks: "s", expect: [first] }, { ended: "s" }]), /blocks before the end/);
  await assert.rejects(run([open, { blocks: "s", expect: [first, ...rest, first] }]), /block 3 .*nothing more comes: the stream ended/);
});

test("a socket is read frame by frame and its close is compared", async () => {
  const open = { connect: "w", path: "/" };
  const ping = { send: "w", bytes: "898100000000ff" };
  await run([open, { frames: "w", expect: [{ n: 1 }] }, ping, { pongs: "w", expect: ["61"] }, { closed: "w", code: 1000, reason: "ok" }]);
  await assert.rejects(run([open, { frames: "w", expect: [{ n: 2 }] }]), /frame 0\.n: expected 2, got 1/);
  await assert.rejects(run([open, ping, { closed: "w", code: 1000 }]), /frames before the close/);
  await assert.rejects(run([open, { frames: "w", expect: ["<text>"] }, ping, { closed: "w", code: 1001 }]), /close code: expected 1001, got 1000/);
  await assert.rejects(run([{ ...open, path: "/broken" }, { frames: "w", expect: ["<text>"] }, ping, { closed: "w", code: 1000 }]), /broke RFC 6455: first byte 91/);
});

test("frames may be expected in any order", async () => {
  await assert.rejects(run([{ connect: "w", path: "/" }, { frames: "w", expect: [{ n: 2 }, { n: 3 }], any_order: true }]), /none of those expected/);
});

test("an unknown step is an error", async () => {
  await assert.rejects(run([{ explode: 1 }]), /unknown step/);
});
