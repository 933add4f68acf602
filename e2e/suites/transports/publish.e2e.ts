/**
 * Publishing as the README shows it: the examples are taken from the page, run as they are, and must arrive.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../../testing/folders.mjs";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";
import { publish, readAll } from "../../harness/log.ts";

const run = promisify(execFile);
const README = resolve(import.meta.dirname, "../../../README.md");
const SERVER_IN_README = /http:\/\/(127\.0\.0\.1|localhost):8000/g;

let server: Server;

beforeAll(async () => {
  server = await Server.start();
});

afterAll(() => server?.dispose());

/** The first block of a language that publishes over HTTP. */
async function example(...languages: string[]): Promise<string> {
  const blocks = (await readFile(README, "utf8")).matchAll(/^```(\w+)\n([\s\S]*?)^```/gm);
  for (const [, language, text] of blocks) {
    if (language && text && languages.includes(language) && text.includes("/anywire/publish")) {
      return text.replace(SERVER_IN_README, server.url);
    }
  }
  throw new Error(`README.md has no ${languages[0]} block that publishes`);
}

/** Runs a text as a program and answers which channels got an event. */
async function channelsAfter(text: string, file: string, program: string): Promise<string[]> {
  const path = join(await temporaryFolder("readme"), file);
  await writeFile(path, text);
  const before = await tail();
  await run(program, [path]);
  type Channels = { channels: { channel: string; last_offset: number }[] };
  const { channels } = await json<Channels>(`${server.url}/api/channels?limit=1000`);
  return channels
    .filter((one) => one.last_offset > before && !one.channel.startsWith("$"))
    .map((one) => one.channel);
}

async function tail(): Promise<number> {
  const { offsets } = await publish(server.url, [{ channel: "marker", data: null }]);
  return offsets[0] ?? 0;
}

describe("an example of the README publishes", () => {
  const programs: [string, string[], string, string][] = [
    ["curl", ["sh", "bash", "console", "shell"], "a.sh", "sh"],
    ["Python", ["python", "py"], "a.py", "python3"],
    ["JavaScript", ["js", "javascript", "ts", "typescript"], "a.mjs", "node"],
  ];
  for (const [name, languages, file, program] of programs) {
    test(`with ${name}`, async () => {
      const channels = await channelsAfter(await example(...languages), file, program);
      expect(channels, "an event arrived on a channel").not.toEqual([]);
    });
  }
});

test("the same key publishes once, another body under it is refused", async () => {
  const once = await publish(server.url, [{ channel: "keyed", data: 1 }], "key-1");
  const again = await publish(server.url, [{ channel: "keyed", data: 1 }], "key-1");
  expect(again).toEqual({ ...once, duplicate: true });
  await expect(publish(server.url, [{ channel: "keyed", data: 2 }], "key-1")).rejects.toThrow(
    "idempotency_conflict",
  );
  expect((await readAll(server.url, "keyed")).events).toHaveLength(1);
});
