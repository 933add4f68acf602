/**
 * The real server: started on a port of its own over a folder of its own, ended or killed, started again on
 * both.
 */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { removeFolder, temporaryFolder } from "./folders.mjs";
import { freePort } from "./ports.mjs";
import { end, Output, readyWhen, start } from "./program.mjs";

/**
 * @typedef {object} ServerOptions
 * @property {boolean} [lab] starts with the network lab
 * @property {string} [config] the text of a configuration file
 * @property {readonly string[]} [args] more arguments
 * @property {Readonly<Record<string, string>>} [env] more variables
 */

/**
 * Those that ran during a test, ended ones too: a test that fails ends its servers before anybody looks.
 *
 * @type {Set<Server>}
 */
const servers = new Set();

/** What every server of a test wrote last, once: what was answered before is left out. */
export function lastWords() {
  return [...servers].flatMap((server) => server.takeLog() ?? []);
}

/** A test is over: what has ended is of no interest to the next one. */
export function forgetEnded() {
  for (const server of servers) if (!server.runs) servers.delete(server);
}

/** The program under test: what `ANYWIRE_BIN` names, otherwise the release build. */
export function binary() {
  const built = resolve(import.meta.dirname, "../target/release/anywire");
  const path = resolve(process.env.ANYWIRE_BIN ?? built);
  if (existsSync(path)) return path;
  throw new Error(`${path} does not exist: cargo build --release -p anywire, or name another in ANYWIRE_BIN`);
}

/**
 * Ours without the variables of the tests: the server takes every `ANYWIRE_…` for a setting, and refuses
 * those it does not know.
 *
 * @returns {NodeJS.ProcessEnv}
 */
export function environment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ANYWIRE_")));
}

export class Server {
  /** @readonly @type {string} */
  dir;
  /** @readonly @type {number} */
  port;
  /** @type {ServerOptions} */
  #options;
  /** @type {import("node:child_process").ChildProcess | null} */
  #child = null;
  #output = new Output();

  /**
   * @param {string} dir
   * @param {number} port
   * @param {ServerOptions} options
   */
  constructor(dir, port, options) {
    this.dir = dir;
    this.port = port;
    this.#options = options;
  }

  /** @param {ServerOptions} options */
  static async start(options = {}) {
    const dir = await temporaryFolder("server");
    const server = new Server(dir, await freePort(), options);
    await server.boot();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid() {
    if (!this.#child?.pid) throw new Error("the server does not run");
    return this.#child.pid;
  }

  get runs() {
    return this.#child !== null;
  }

  /** What it wrote since this was asked last; nothing if that is nothing. */
  takeLog() {
    const lines = this.#output.take();
    return lines.length > 0 ? `── the server at ${this.url} said last:\n${lines.join("\n")}` : null;
  }

  /** What it wrote last, in all its runs, for a failure's message. */
  get log() {
    return this.#output.text;
  }

  /** Starts it (again) on the same port and data; resolves when it says that it is ready. */
  async boot() {
    const args = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data", join(this.dir, "data")];
    if (this.#options.lab) args.push("--lab");
    if (this.#options.config !== undefined) {
      const file = join(this.dir, "anywire.toml");
      await writeFile(file, this.#options.config);
      args.push("--config", file);
    }
    const child = start(binary(), [...args, ...(this.#options.args ?? [])], {
      cwd: this.dir,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...environment(), ...this.#options.env },
    });
    this.#child = child;
    servers.add(this);
    let ready = false;
    this.#output.follow(child, (line) => {
      ready ||= line.includes(` is ready at ${this.url}`);
    });
    await readyWhen(
      "the server",
      child,
      () => ready,
      () => this.log,
    );
  }

  /** `kill -9`: nothing of its own runs any more. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Ends it in good order. */
  async stop() {
    await this.#end("SIGTERM");
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (child) await end(child, signal);
  }

  /** Ends it and removes its folder. */
  async dispose() {
    await this.kill();
    await removeFolder(this.dir);
  }

  /** Resident memory. */
  async rssBytes() {
    const status = await readFile(`/proc/${this.pid}/status`, "utf8");
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
    if (!kilobytes) throw new Error("no VmRSS in /proc");
    return Number(kilobytes) * 1024;
  }
}
