/** The pipeline on a real Kafka broker, with kcat and Kafka's own tools as witnesses. */
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { freePort } from "../../../testing/ports.mjs";
import { Server } from "../../../testing/server.mjs";
import { until } from "../../../testing/until.mjs";
import { byId, openBrowser, openContext, photograph } from "../../harness/browser.ts";
import { Kafka } from "../../harness/kafka.ts";
import {
  counters,
  finished,
  lagLines,
  listed,
  logs,
  places,
  ready,
  send,
  state,
} from "../../harness/pipeline.ts";

const RECORDS = 10_000;

let kafka: Kafka;
let browser: Browser;
const servers: Server[] = [];

// Maven brings the broker the first time: how long that takes is the network's affair.
beforeAll(async () => {
  [kafka, browser] = await Promise.all([Kafka.start(), openBrowser()]);
}, 1_200_000);

afterAll(async () => {
  await browser?.close();
  await kafka?.dispose();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.dispose();
});

/** A server whose consumers read topics in a group named like the first. */
async function serve(
  topic: string,
  more: readonly string[] = [],
  others: readonly string[] = [],
): Promise<Server> {
  const lines = [
    "[pipeline]",
    `kafka = "${kafka.brokers}"`,
    `topics = ${JSON.stringify([topic, ...others])}`,
    `group = "${topic}"`,
    "retry_min_ms = 10",
    ...more,
  ];
  const server = await Server.start({ config: `${lines.join("\n")}\n` });
  servers.push(server);
  await ready(server, topic);
  return server;
}

const values = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => JSON.stringify({ name: `record ${from + n}`, value: n }));

/** Waits until our lag is what Kafka's own tool says, and every partition's is as wanted. */
async function lagAgrees(server: Server, group: string, wanted: (line: string) => boolean): Promise<void> {
  await until("the lag is what Kafka's own tool says", async () => {
    const theirs = (await kafka.group(group)).map(
      (one) => `${one.partition} ${one.committed} ${one.end} ${one.lag}`,
    );
    const ours = lagLines(await state(server));
    const agree = ours.join() === theirs.sort().join() && ours.length > 0 && ours.every(wanted);
    return agree || Promise.reject(new Error(`ours ${ours.join(", ")}; theirs ${theirs.join(", ")}`));
  });
}

test("ten thousand records, a server killed in the middle: nothing is lost, the counters equal what kcat reads", async () => {
  const server = await serve("killed", ["consumers = 2"]);
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${server.url}/pipeline`);
  await byId(page, "records").waitFor();
  await kafka.produce("killed", values(0, 6000));
  await until("some are processed", async () => (await counters(server)).processedMessages > 500);
  await server.kill();
  await kafka.produce("killed", values(6000, 9500));
  await server.boot();
  await until("the broker is found again", async () => (await state(server)).broker.state === "UP");
  for (let n = 9500; n < RECORDS; n += 50) {
    const sent = Array.from({ length: 50 }, (_, more) =>
      send(server, { name: `record ${n + more}` }, "killed"),
    );
    for (const answer of await Promise.all(sent)) expect(answer.status).toBe(201);
  }
  await finished(server, RECORDS);
  const read = (await kafka.consume("killed", "%t/%p/%o")).sort();
  expect(read.length).toBe(RECORDS);
  expect(await counters(server)).toMatchObject({
    totalMessages: RECORDS,
    processedMessages: RECORDS,
    failedMessages: 0,
  });
  expect(places(await logs(server)).sort()).toEqual(read);
  await until("the page agrees", async () => {
    const text = await byId(page, "processed").locator(".value").textContent();
    return text?.replace(/\D/g, "") === String(RECORDS);
  });
  const ours = (await logs(server)).map((entry) => `${entry.logId} ${entry.status}`);
  await until("the page's list is the server's", async () => (await listed(page)).join() === ours.join());
  await lagAgrees(server, "killed", (line) => line.endsWith(" 0"));
  await photograph(page, "pipeline-kafka");
  await page.context().close();
});

test("of two processes in one group one is killed: the other takes over, and between them they have every record", async () => {
  const first = await serve("shared", ['consumer_prefix = "first"']);
  const second = await serve("shared", ['consumer_prefix = "second"']);
  const holding = (server: Server) => async () => {
    const answer = await fetch(`${server.url}/api/consumers`);
    const [consumer] = (await answer.json()) as { partitions: unknown[] }[];
    return (consumer?.partitions.length ?? 0) > 0;
  };
  await until("the first holds partitions", holding(first));
  await until("the second holds partitions", holding(second));
  const producing = kafka.produce("shared", values(0, RECORDS));
  await until("the second is at work", async () => (await counters(second)).processedMessages > 100);
  await second.kill();
  await producing;
  await until("the first has everything that is left", async () => {
    const lags = await kafka.group("shared");
    return lags.length > 0 && lags.every((one) => one.lag === "0");
  });
  await second.boot();
  const read = (await kafka.consume("shared", "%t/%p/%o")).sort();
  const had = new Set<string>();
  for (const server of [first, second]) {
    const entries = await logs(server);
    const processed = entries.filter((entry) => entry.status === "PROCESSED");
    for (const place of places(processed)) had.add(place);
    const counted = { totalMessages: entries.length, processedMessages: processed.length };
    expect(await counters(server), "the counters are those of the list").toMatchObject(counted);
  }
  expect(read.length).toBe(RECORDS);
  expect([...had].sort()).toEqual(read);
});

test("a broker that is stopped is shown as away; everything goes on by itself when it is back", async () => {
  const server = await serve("away");
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${server.url}/pipeline`);
  await byId(page, "records").waitFor();
  await kafka.produce("away", values(0, 100));
  await finished(server, 100);
  await kafka.stop();
  const bannerIs = async (shown: boolean) => (await byId(page, "broker-away").count()) > 0 === shown;
  await until("the page says that the broker is away", () => bannerIs(true));
  const refused = await send(server, { name: "too early" }, "away");
  expect(refused.status).toBe(503);
  expect(((await refused.json()) as { code: string }).code).toBe("broker_away");
  await photograph(page, "pipeline-away");
  await kafka.boot();
  await until("the page does not say so any more", () => bannerIs(false));
  await kafka.produce("away", values(100, 200));
  await until("all are processed", async () => (await counters(server)).processedMessages >= 200);
  const read = (await kafka.consume("away", "%t/%p/%o")).length;
  await until("the counters equal the topic", async () => (await counters(server)).totalMessages === read);
  await page.context().close();
});

test("what cannot be processed is a dead letter with its reason and exact bytes, and its partition goes on", async () => {
  const schema = join(tmpdir(), `anywire-kafka-schema-${process.pid}.json`);
  await writeFile(schema, JSON.stringify({ type: "object", required: ["name"] }));
  const server = await serve("poison", [
    "partitions = 1",
    `schema = ${JSON.stringify(schema)}`,
    "attempts_max = 2",
  ]);
  const bad = ["not JSON at all", '{"value":1}'];
  await kafka.produce("poison", [bad[0] ?? "", '{"name":"sound"}', bad[1] ?? "", '{"name":"sound too"}']);
  await finished(server, 4);
  expect(await counters(server)).toMatchObject({ processedMessages: 2, failedMessages: 2 });
  expect((await kafka.consume("poison.dead", "%s")).sort()).toEqual([...bad].sort());
  const headers = (await kafka.consume("poison.dead", "%h")).join("\n");
  expect(headers).toContain("anywire-dead-letter-reason=the value is no JSON");
  expect(headers).toContain("anywire-dead-letter-topic=poison");
  await kafka.produceOddHeader("poison", '{"name":"odd header"}');
  await kafka.produce("poison", ['{"name":"behind it"}']);
  await finished(server, 6);
  expect(await counters(server)).toMatchObject({ processedMessages: 4, failedMessages: 2 });
  await rm(schema);
});

test("while a sink cannot be reached its records are dead letters; it goes on when it is back, and they are tried again by hand", async () => {
  const port = await freePort();
  const server = await serve("sunk", [
    "partitions = 1",
    `sink = "http://127.0.0.1:${port}/in"`,
    "sink_timeout_ms = 60000",
    "attempts_max = 2",
  ]);
  await kafka.produce("sunk", values(0, 3));
  await finished(server, 3);
  const [failed] = await logs(server);
  expect(failed).toMatchObject({ status: "FAILED", attempts: 2 });
  expect(failed?.error).toContain("the sink cannot be reached");
  expect((await kafka.consume("sunk.dead", "%s")).sort()).toEqual(values(0, 3).sort());
  const posted: string[] = [];
  const sink = createServer(async (request, answer) => {
    posted.push(`${request.headers["anywire-offset"]} ${await text(request)}`);
    answer.writeHead(204).end();
  });
  await once(sink.listen(port, "127.0.0.1"), "listening");
  await kafka.produce("sunk", values(3, 6));
  await finished(server, 6);
  expect(posted).toEqual(values(3, 6).map((value, n) => `${n + 3} ${value}`));
  const retried = await fetch(`${server.url}/api/consumers/logs/${failed?.logId}/retry`, { method: "POST" });
  expect(await retried.json()).toMatchObject({ status: "PROCESSED", attempts: 3, error: null });
  expect(posted.at(-1)).toBe(`${failed?.offset} ${values(0, 3)[Number(failed?.offset)]}`);
  expect(await counters(server)).toMatchObject({ processedMessages: 4, failedMessages: 2 });
  sink.closeAllConnections();
  sink.close();
});

test("a group that never committed has no lag, and one behind a transaction's mark has the one that Kafka's tool says", async () => {
  const server = await serve("marked", ["partitions = 1", "consumers = 0"]);
  await kafka.produce("marked", values(0, 5), ["-X", "transactional.id=marked"]);
  await until("the lag is known", async () => (await state(server)).lag[0]?.end === "6");
  expect((await state(server)).lag[0]).toMatchObject({ committed: null, messages: null, seconds: null });
  await fetch(`${server.url}/api/consumers`, { method: "POST" });
  await finished(server, 5);
  // The mark has an offset and is no record: nobody can commit behind it.
  await lagAgrees(server, "marked", (line) => line === "0 5 6 1");
  expect((await state(server)).lag[0]).toMatchObject({ messages: 1, seconds: null });
});

/** What the server says of a topic that is not as it was, once it says so. */
async function notice(server: Server, topic: string, kind: string) {
  return until(`${topic} is told as ${kind}`, async () => {
    const { notices } = await state(server);
    return notices.find((one) => one.topic === topic && one.kind === kind);
  });
}

test("a partition that is added is told, read, and freezes the lag of no topic", async () => {
  const server = await serve("grown", [], ["beside"]);
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${server.url}/pipeline`);
  await kafka.produce("grown", values(0, 30));
  await finished(server, 30);
  await kafka.topics("--alter", "--topic", "grown", "--partitions", "5");
  expect(await notice(server, "grown", "PARTITIONS_ADDED")).toMatchObject({ before: 3, now: 5 });
  expect(server.log).toMatch(/WARN.*the topic has 5 partitions now and had 3/);
  await byId(page, "pipeline-notice").filter({ hasText: "grown" }).waitFor();
  await kafka.produce("grown", values(30, 130));
  await kafka.produce("beside", values(0, 20));
  await finished(server, 150);
  const partitions = (topic: string) => async () => {
    const lag = (await state(server)).lag.filter((one) => one.topic === topic);
    const read = lag.filter((one) => one.messages === 0 && one.committed === one.end && one.end !== "0");
    return read.length === lag.length ? lag.length : null;
  };
  expect(await until("the lag of all five goes on", partitions("grown"))).toBe(5);
  expect(await until("and that of the other topic", partitions("beside"))).toBe(3);
  expect((await state(server)).broker.state).toBe("UP");
  await photograph(page, "pipeline-notice");
  await page.context().close();
});

test("a topic that is deleted and made anew is told, and read from its first record", async () => {
  const server = await serve("anew", ["partitions = 1"]);
  await kafka.produce("anew", values(0, 5));
  await finished(server, 5);
  await until("it is committed", async () => (await state(server)).lag[0]?.committed === "5");
  await kafka.topics("--delete", "--topic", "anew");
  // This server makes what is missing, too: whoever is first.
  await kafka.topics("--create", "--if-not-exists", "--topic", "anew", "--partitions", "1");
  await kafka.produce("anew", values(100, 130));
  await notice(server, "anew", "ANEW");
  expect(server.log).toMatch(/WARN.*the topic was made anew/);
  await finished(server, 35);
  expect(await counters(server)).toMatchObject({
    totalMessages: 35,
    processedMessages: 35,
    failedMessages: 0,
  });
  const offsets = (await logs(server)).map((entry) => Number(entry.offset));
  for (let offset = 0; offset < 30; offset += 1)
    expect(offsets.filter((one) => one === offset).length, `offset ${offset}`).toBe(offset < 5 ? 2 : 1);
  await until(
    "the lag is that of the new topic",
    async () => (await state(server)).lag[0]?.committed === "30",
  );
  await server.kill();
  await server.boot();
  await kafka.produce("anew", values(130, 135));
  await finished(server, 40);
  expect(await counters(server)).toMatchObject({ totalMessages: 40, processedMessages: 40 });
});

test("fewer partitions in the settings than there are hide no record, and are told", async () => {
  await kafka.topics("--create", "--topic", "wide", "--partitions", "6");
  const server = await serve("wide", ["partitions = 2"]);
  expect(await notice(server, "wide", "PARTITIONS_DIFFER")).toMatchObject({ before: 2, now: 6 });
  await kafka.produce("wide", values(0, 120));
  await finished(server, 120);
  const lag = await until("all are committed", async () => {
    const { lag } = await state(server);
    return lag.length > 0 && lag.every((one) => one.messages === 0) ? lag : null;
  });
  expect(lag.length).toBe(6);
});

test("a tombstone fits every schema, is told to the sink, and shown as what it is", async () => {
  const schema = join(tmpdir(), `anywire-kafka-tombstone-${process.pid}.json`);
  await writeFile(schema, JSON.stringify({ type: "object", required: ["name"] }));
  const posted: (string | undefined)[] = [];
  const sink = createServer(async (request, answer) => {
    const told = request.headers["anywire-tombstone"];
    posted.push(
      `${request.headers["anywire-key"]} ${Array.isArray(told) ? told[0] : told} ${await text(request)}`,
    );
    answer.writeHead(204).end();
  });
  await once(sink.listen(0, "127.0.0.1"), "listening");
  const address = sink.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const server = await serve("compacted", [
    "partitions = 1",
    `schema = ${JSON.stringify(schema)}`,
    `sink = "http://127.0.0.1:${address.port}/in"`,
  ]);
  await kafka.produce("compacted", ['{"name":"sound"}', "", "null"], ["-Z"]);
  await finished(server, 3);
  expect(await counters(server)).toMatchObject({ processedMessages: 2, failedMessages: 1 });
  expect(posted).toEqual(['0 undefined {"name":"sound"}', "1 true "]);
  const tombstone = (await logs(server)).find((entry) => entry.offset === "1");
  const page = await (await openContext(browser)).newPage();
  await page.goto(`${server.url}/pipeline`);
  await page.locator(`[data-testid="record"][data-id="${tombstone?.logId}"]`).click();
  await until("it is shown as a tombstone", async () =>
    /tombstone/i.test(await byId(page, "record-value").innerText()),
  );
  await page.context().close();
  sink.closeAllConnections();
  sink.close();
  await rm(schema);
});
