/** A real Kafka broker on a port of its own, and kcat as a witness who does not know us. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "../../testing/folders.mjs";
import { freePort } from "../../testing/ports.mjs";
import { end, readyWhen, start } from "../../testing/program.mjs";

const run = promisify(execFile);
const SCRIPT = resolve(import.meta.dirname, "../../xtask/kafka/broker.sh");
const OUTPUT_MAX = 64 << 20;
const LOG_MAX = 4000;

export interface GroupLag {
  readonly topic: string;
  readonly partition: number;
  readonly committed: string;
  readonly end: string;
  readonly lag: string;
}

export class Kafka {
  readonly #dir: string;
  readonly #port: number;
  #child: ChildProcess | null = null;

  private constructor(dir: string, port: number) {
    this.#dir = dir;
    this.#port = port;
  }

  static async start(): Promise<Kafka> {
    await run(SCRIPT, ["fetch"]);
    const kafka = new Kafka(await temporaryFolder("kafka"), await freePort(2));
    await kafka.boot();
    return kafka;
  }

  get brokers(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** What it wrote last, for a failure's message. */
  get log(): string {
    const written = ["format.log", "broker.log"]
      .map((name) => join(this.#dir, name))
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, "utf8"));
    return written.join("").slice(-LOG_MAX);
  }

  /** Starts it (again) on the same port and data; resolves when it answers. */
  async boot(): Promise<void> {
    const child = start(SCRIPT, ["run", this.#dir, String(this.#port)], { stdio: "ignore" });
    this.#child = child;
    const answers = () => this.#kcat(["-L", "-m", "2"]).then(() => true);
    await readyWhen("the broker", child, answers, () => this.log);
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async dispose(): Promise<void> {
    await this.#end("SIGKILL");
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /**
   * Produces one record a line, with the line's number for a key: records without one may all come into one
   * partition, and a partition without records has nothing that could be committed.
   */
  async produce(topic: string, lines: readonly string[], more: readonly string[] = []): Promise<void> {
    const args = ["-b", this.brokers, "-t", topic, "-P", "-K", "\t", ...more];
    const child = spawn("kcat", args, { stdio: ["pipe", "ignore", "inherit"] });
    const ended = once(child, "exit");
    child.stdin.end(lines.map((line, n) => `${n}\t${line}\n`).join(""));
    const [code] = await ended;
    if (code !== 0) throw new Error(`kcat -P ended with ${code}`);
  }

  /** Produces a record of which one header's name is no text, as no client with sound strings can. */
  async produceOddHeader(topic: string, value: string): Promise<void> {
    const command = `printf '%s\n' "$1" | kcat -b "$2" -t "$3" -P -H "$(printf '\\377=x')"`;
    await run("sh", ["-c", command, "sh", value, this.brokers, topic]);
  }

  /** Everything a topic holds, one line a record in kcat's format. */
  async consume(topic: string, format: string): Promise<string[]> {
    const text = await this.#kcat(["-t", topic, "-C", "-e", "-q", "-o", "beginning", "-f", `${format}\\n`]);
    return text.split("\n").filter((line) => line !== "");
  }

  /** What Kafka's own tool says of a group. */
  async group(name: string): Promise<GroupLag[]> {
    const { stdout } = await run(SCRIPT, ["groups", String(this.#port), "--describe", "--group", name]);
    const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/));
    return rows
      .filter((row) => row[0] === name)
      .map(([, topic = "", partition = "", committed = "", end = "", lag = ""]) => ({
        topic,
        partition: Number(partition),
        committed,
        end,
        lag,
      }));
  }

  /** Changes topics with Kafka's own tool. */
  async topics(...args: string[]): Promise<void> {
    await run(SCRIPT, ["topics", String(this.#port), ...args]);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child) await end(child, signal);
  }

  async #kcat(args: readonly string[]): Promise<string> {
    const { stdout } = await run("kcat", ["-b", this.brokers, ...args], { maxBuffer: OUTPUT_MAX });
    return stdout;
  }
}
