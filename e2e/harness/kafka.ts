/** A real Kafka broker on a port of its own, and kcat as a witness who does not know us. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { until } from "./until.ts";

const run = promisify(execFile);
const SCRIPT = resolve(import.meta.dirname, "../../xtask/kafka/broker.sh");
const OUTPUT_MAX = 64 << 20;
/** Below what systems give to outgoing connections: a client that keeps trying a stopped broker must not get its port. */
const PORTS = { from: 20_000, count: 10_000 };

const started = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of started) child.kill("SIGKILL");
});

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    await once(probe.listen(port, "127.0.0.1"), "listening");
    probe.close();
    await once(probe, "close");
    return true;
  } catch {
    return false;
  }
}

/** A port for the broker, with the next one for its controller. */
async function freePorts(): Promise<number> {
  for (;;) {
    const port = PORTS.from + 2 * Math.floor((Math.random() * PORTS.count) / 2);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
}

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
    const kafka = new Kafka(await mkdtemp(join(tmpdir(), "anywire-kafka-")), await freePorts());
    await kafka.boot();
    return kafka;
  }

  get brokers(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Starts it (again) on the same port and data; resolves when it answers. */
  async boot(): Promise<void> {
    const child = spawn(SCRIPT, ["run", this.#dir, String(this.#port)], { stdio: "ignore" });
    this.#child = child;
    started.add(child);
    child.once("exit", () => started.delete(child));
    const answer = await until("the broker answers", async () => {
      if (child.exitCode !== null || child.signalCode !== null) return "ended";
      await this.#kcat(["-L", "-m", "2"]);
      return "up";
    });
    if (answer === "ended") throw new Error(`the broker ended with ${child.exitCode ?? child.signalCode}`);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }

  async dispose(): Promise<void> {
    this.#child?.kill("SIGKILL");
    this.#child = null;
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5 });
  }

  /**
   * Produces one record a line, with the line's number for a key: records without one may all come into one partition, and a partition
   * without records has nothing that could be committed.
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

  async #kcat(args: readonly string[]): Promise<string> {
    const { stdout } = await run("kcat", ["-b", this.brokers, ...args], { maxBuffer: OUTPUT_MAX });
    return stdout;
  }
}
