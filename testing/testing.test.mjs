/** What every suite relies on: waiting, splitting a stream, ports of its own, programs that end too early. */
import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { exchange, json, stream } from "./http.mjs";
import { rangeOf } from "./ports.mjs";
import { end, readyWhen, start, startListening } from "./program.mjs";
import { Queue } from "./queue.mjs";
import { SseSplitter } from "./sse.mjs";
import { Hopeless, until, within } from "./until.mjs";

test("waiting ends with the first answer, and tells the last one when it was in vain", async () => {
  let asked = 0;
  const third = () => {
    asked += 1;
    if (asked === 1) throw new Error("not yet");
    return asked === 3 && "there";
  };
  assert.equal(await until("it is there", third), "there");
  const never = () => {
    throw new Error("closed");
  };
  await assert.rejects(until("it opens", never, 0), /waited in vain until it opens; .*closed/);
  const hopeless = () => {
    throw new Hopeless("gone for good");
  };
  await assert.rejects(until("it comes back", hopeless), /gone for good/);
  await assert.rejects(within("nothing", new Promise(() => {}), 1), /nothing takes longer than 1 ms/);
});

test("a stream is split into the same blocks wherever its bytes are cut", () => {
  const text = 'id: a-1\ndata: {"text":"Bước ✓"}\n\n: hi\n\nevent: gap\ndata: 1\ndata:2\nretry\n\nid: a-2';
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    /** @type {unknown[]} */
    const blocks = [];
    const splitter = new SseSplitter((block) => blocks.push(block));
    splitter.push(bytes.subarray(0, cut));
    splitter.push(bytes.subarray(cut));
    assert.deepEqual(blocks, [
      { id: "a-1", data: '{"text":"Bước ✓"}' },
      { comment: "hi" },
      { event: "gap", data: "1\n2", retry: "" },
    ]);
    assert.equal(splitter.rest, "id: a-2");
  }
});

test("workers have ports of their own, below those of outgoing connections", () => {
  const ranges = [undefined, "1", "2", "3"].map((worker) => rangeOf(worker, 30_000)).sort();
  assert.equal(ranges[0]?.[0], 10_000);
  for (const [index, [from, to]] of ranges.entries()) {
    assert.ok(from < to && to <= 30_000);
    assert.ok(index === 0 || from === ranges[index - 1]?.[1]);
  }
});

test("a queue gives what came before the end, and then says why it ended", async () => {
  const queue = new Queue();
  const waiting = queue.next(10_000);
  queue.push(1);
  queue.push(2);
  assert.equal(await waiting, 1);
  queue.end("closed");
  assert.equal(await queue.next(0), 2);
  await assert.rejects(queue.next(0), /nothing more comes: closed/);
  assert.equal(await queue.untilEnd(0), "closed");
  await assert.rejects(new Queue().next(1), /nothing came for 1 ms/);
});

test("a program that ends before it is ready is told with its last words", async () => {
  const node = (/** @type {string} */ text) => startListening("it", process.execPath, ["-e", text]);
  await assert.rejects(node("console.error('no port'); process.exit(3)"), /it ended .*\(3\)\s+no port/);
  const there = await node("console.log('at http://127.0.0.1:1/ now'); setInterval(() => {}, 1000)");
  assert.equal(there.url, "http://127.0.0.1:1");
  await there.stop();
  await end(there.child, "SIGKILL");
  const missing = start("/nowhere/at/all", [], {});
  await assert.rejects(
    readyWhen("nothing", missing, () => false),
    /nothing ended .*ENOENT/,
  );
});

test("answers come whole, streams in blocks, and a refusal is told", async () => {
  const server = http.createServer((request, response) => {
    if (request.url === "/stream") response.end("data: 1\n\ndata: 2\n\nda");
    else if (request.url === "/refused") response.writeHead(418).end("no coffee");
    else request.pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  assert.ok(address !== null && typeof address !== "string");
  const base = `http://127.0.0.1:${address.port}`;
  try {
    const { status, body } = await exchange(base, { method: "POST", path: "/", body: "hello" });
    assert.deepEqual([status, body], [200, "hello"]);
    const { blocks } = await stream(base, { path: "/stream" });
    assert.match(await blocks.untilEnd(10_000), /ended within "da"/);
    assert.deepEqual(blocks.drain(), [{ data: "1" }, { data: "2" }]);
    const refused = await stream(base, { path: "/refused" });
    assert.deepEqual([refused.status, refused.body], [418, "no coffee"]);
    assert.deepEqual(await json(base, { send: { a: 1 } }), { a: 1 });
    await assert.rejects(json(`${base}/refused`), /GET http:\S+ answered 418: no coffee/);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
