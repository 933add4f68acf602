/** The pipeline on a real Kafka broker, with kcat and Kafka's own tools as witnesses. */
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { byId, openBrowser, openContext, photograph } from "../harness/browser.ts";
import { tell } from "../harness/evidence.ts";
import { Kafka } from "../harness/kafka.ts";
import { counters, finished, logs, places, ready, send, state } from "../harness/pipeline.ts";
import { Server } from "../harness/server.ts";
import { until } from "../harness/until.ts";

const RECORDS = 10_000;

let kafka: Kafka;
let browser: Browser;
const servers: Server[] = [];

beforeAll(async () => {
  [kafka, browser] = await Promise.all([Kafka.start(), openBrowser()]);
});

afterAll(async () => {
  await browser?.close();
  await kafka?.dispose();
});

afterEach(async ({ task }) => {
  for (const server of servers.splice(0)) {
    await tell(task, server);
    await server.dispose();
  }
});

/** A server whose consumers read one topic in a group named like it. */
async function serve(topic: string, more: readonly string[] = []): Promise<Server> {
  const lines = [
    "[pipeline]",
    `kafka = "${kafka.brokers}"`,
    `topics = ["${topic}"]`,
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
  await until("the lag is what Kafka's own tool says", async () => {
    const ours = (await state(server)).lag.map(
      (one) => `${one.partition} ${one.committed} ${one.end} ${one.messages}`,
    );
    const theirs = (await kafka.group("killed")).map(
      (one) => `${one.partition} ${one.committed} ${one.end} ${one.lag}`,
    );
    return ours.sort().join() === theirs.sort().join() && ours.every((line) => line.endsWith(" 0"));
  });
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
    for (const entry of await logs(server))
      if (entry.status === "PROCESSED") had.add(`${entry.topic}/${entry.partition}/${entry.offset}`);
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
  await byId(page, "broker-away").waitFor();
  const refused = await send(server, { name: "too early" }, "away");
  expect(refused.status).toBe(503);
  expect(((await refused.json()) as { code: string }).code).toBe("broker_away");
  await photograph(page, "pipeline-away");
  await kafka.boot();
  await byId(page, "broker-away").waitFor({ state: "detached" });
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
  await rm(schema);
});
