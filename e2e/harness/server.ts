/** The real server: started on a port of its own over a folder of its own, killed, started again on both. */
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { end, readyWhen, start } from "./children.ts";
import { temporaryFolder } from "./folders.ts";
import { freePort } from "./ports.ts";

export interface ServerOptions {
  /** Starts with the network lab. */
  readonly lab?: boolean;
  /** The text of a configuration file. */
  readonly config?: string;
  readonly args?: readonly string[];
}

/** Those that ran during a test, ended ones too: a test that fails ends its servers before anybody looks. */
const servers = new Set<Server>();

/** What every server of a test wrote last, once: what was answered before is left out. */
export function lastWords(): string[] {
  return [...servers].flatMap((server) => server.takeLog() ?? []);
}

/** A test is over: what has ended is of no interest to the next one. */
export function forgetEnded(): void {
  for (const server of servers) if (!server.runs) servers.delete(server);
}

export function binary(): string {
  const path = process.env.ANYWIRE_BIN ?? resolve(import.meta.dirname, "../../target/release/anywire");
  if (!existsSync(path)) throw new Error(`${path} does not exist: cargo build --release -p anywire`);
  return path;
}

/** Ours without the variables of the tests: the server takes every `ANYWIRE_…` for a setting, and refuses those it does not know. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ANYWIRE_")));
}

export class Server {
  readonly dir: string;
  readonly port: number;
  readonly #options: ServerOptions;
  #child: ChildProcess | null = null;
  readonly #lines: string[] = [];

  private constructor(dir: string, port: number, options: ServerOptions) {
    this.dir = dir;
    this.port = port;
    this.#options = options;
  }

  static async start(options: ServerOptions = {}): Promise<Server> {
    const dir = await temporaryFolder("e2e");
    const server = new Server(dir, await freePort(), options);
    await server.boot();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (!this.#child?.pid) throw new Error("the server does not run");
    return this.#child.pid;
  }

  get runs(): boolean {
    return this.#child !== null;
  }

  /** What it wrote since this was asked last; nothing if that is nothing. */
  takeLog(): string | null {
    const lines = this.#lines.splice(0);
    return lines.length > 0 ? `── the server at ${this.url} said last:\n${lines.join("\n")}` : null;
  }

  /** What it wrote last, for a failure's message. */
  get log(): string {
    return this.#lines.join("\n");
  }

  /** Starts it (again) on the same port and data; resolves when it says that it is ready. */
  async boot(): Promise<void> {
    const args = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data", join(this.dir, "data")];
    if (this.#options.lab) args.push("--lab");
    if (this.#options.config !== undefined) {
      const file = join(this.dir, "anywire.toml");
      await writeFile(file, this.#options.config);
      args.push("--config", file);
    }
    const child = start(binary(), [...args, ...(this.#options.args ?? [])], {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment(),
    });
    this.#child = child;
    servers.add(this);
    let ready = false;
    for (const input of [child.stdout, child.stderr]) {
      if (!input) throw new Error("the server's output is not piped");
      createInterface({ input }).on("line", (line) => {
        ready ||= line.includes(` is ready at ${this.url}`);
        this.#note(line);
      });
    }
    await readyWhen(
      "the server",
      child,
      () => ready,
      () => this.log,
    );
  }

  #note(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > 60) this.#lines.shift();
  }

  /** `kill -9`: nothing of its own runs any more. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child) await end(child, signal);
  }

  /** Ends it and removes its folder. */
  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Resident memory. */
  async rssBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
    if (!kilobytes) throw new Error("no VmRSS in /proc");
    return Number(kilobytes) * 1024;
  }
}
