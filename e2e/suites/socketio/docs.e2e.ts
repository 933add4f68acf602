/**
 * docs/socketio.md: its configuration starts a server, its examples are run as they stand, and do what the
 * page says.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Server } from "../../../testing/server.mjs";
import { Hopeless, until } from "../../../testing/until.mjs";
import { publish, readAll } from "../../harness/log.ts";
import { python } from "../../harness/python.ts";
import { Redis } from "../../harness/redis.ts";

const run = promisify(execFile);
const PAGE = resolve(import.meta.dirname, "../../../docs/socketio.md");
/** Beside the packages that the examples import. */
const FOLDER = resolve(import.meta.dirname, "../../node_modules/.cache");

let redis: Redis;
let server: Server;
let folder: string;
let blocks: { language: string; text: string }[];

beforeAll(async () => {
  redis = await Redis.start();
  const here = (text: string) =>
    text.replaceAll("redis://127.0.0.1:6379/0", redis.url).replaceAll("http://127.0.0.1:8000", server?.url);
  const page = await readFile(PAGE, "utf8");
  const all = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)];
  const config = all.filter(([, language]) => language === "toml").map(([, , text]) => text);
  server = await Server.start({
    config: config.join("\n").replaceAll("redis://127.0.0.1:6379/0", redis.url),
  });
  blocks = all.map(([, language, text]) => ({ language: language ?? "", text: here(text ?? "") }));
  await mkdir(FOLDER, { recursive: true });
  folder = await mkdtemp(join(FOLDER, "docs-"));
  await until("the server listens to Redis", async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return metrics.includes("anywire_emitters_connected 1");
  });
});

afterAll(async () => {
  await server?.dispose();
  await redis?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** The program of the block that holds a text, as a file, and what runs it. */
async function program(part: string, language: "js" | "python"): Promise<[string, string[]]> {
  const found = blocks.filter((block) => block.language === language && block.text.includes(part));
  if (found.length !== 1) throw new Error(`${found.length} ${language} blocks hold ${part}`);
  const file = join(folder, `${part.replace(/\W/g, "_")}.${language === "js" ? "mjs" : "py"}`);
  await writeFile(file, found[0]?.text ?? "");
  return language === "js" ? [process.execPath, [file]] : [await python(), [file]];
}

/** Follows a program's output until it holds a text; meanwhile `again` is done over and over. */
async function says(command: [string, string[]], text: string, again: () => Promise<unknown>): Promise<void> {
  const child: ChildProcess = spawn(...command, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout?.on("data", (data) => {
    output += String(data);
  });
  try {
    await until(`the example says ${text}`, async () => {
      if (child.exitCode !== null) throw new Hopeless(`the example ended with ${child.exitCode}: ${output}`);
      await again();
      return output.includes(text);
    });
  } finally {
    child.kill("SIGKILL");
  }
}

describe("a back end of the page publishes", () => {
  const examples = [
    ["node-http", "js"],
    ["flask-http", "python"],
    ["node-redis", "js"],
    ["flask-redis", "python"],
    ["nest", "js"],
  ] as const;
  test.each(examples)("%s", async (from, language) => {
    const [command, args] = await program(`"${from}"`, language);
    await run(command, args);
    const arrived = async () =>
      (await readAll(server.url, "news")).events.map(({ event, data }) => [event, data]);
    await until("the event stands on the channel", async () => (await arrived()).length > 0);
    expect(await arrived()).toContainEqual(["created", { id: 1, from }]);
  });
});

describe("a front end of the page", () => {
  const send = (channel: string, event: string) =>
    publish(server.url, [{ channel, event, data: { item: `for-${channel}` } }]);

  test("hears what is published on its namespace's channels", async () => {
    await says(await program('"created", (item)', "js"), "for-news", () => send("news", "created"));
  });

  test("joins rooms", async () => {
    const command = await program("order_1", "js");
    await says(command, "joined true 2", async () => {});
    await says(command, "for-order_2", () => send("order_2", "shipped"));
  });

  test("in Python, gets the cursor that it asks for", async () => {
    await says(await program('namespace="/chat"', "python"), "for-chat", () => send("chat", "created"));
  });
});
