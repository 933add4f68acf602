/**
 * The server the cases talk to: its configuration, its directory, and that it may be stopped and started again.
 *
 * Knows: how `anywire serve` is called. Does not know: cases.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { exchange } from "./http.mjs";
import { start } from "./program.mjs";

const SERVERS = join(dirname(fileURLToPath(import.meta.url)), "..", "servers");
/** The key in servers/keys.toml; servers without keys don't look at it. */
const CREDENTIALS = { authorization: "Bearer conformance-api-key" };

export class Server {
  #binary;
  #config;
  #data = mkdtempSync(join(tmpdir(), "anywire-conformance-"));
  #program = undefined;
  #log = [];

  /** Starts `binary` with servers/`name`.toml on a free port and a fresh directory. */
  static async start(binary, name) {
    const server = new Server(binary, name);
    await server.begin();
    return server;
  }

  constructor(binary, name) {
    this.#binary = resolve(binary);
    this.#config = join(SERVERS, `${name}.toml`);
  }

  get url() {
    return this.#program.url;
  }

  /** What it wrote, of all its runs. */
  get log() {
    return [...this.#log, ...this.#program.log].join("");
  }

  async begin() {
    const args = ["serve", "--listen", "127.0.0.1:0", "--data", this.#data, "--config", this.#config];
    this.#program = await start(this.#binary, args, { cwd: this.#data });
  }

  /** Asks for an orderly end and does not wait for it. */
  end() {
    this.#program.stopped = this.#program.stop();
  }

  /** Waits for the end, and starts it again on the same directory. */
  async restart() {
    await (this.#program.stopped ?? this.#program.stop());
    this.#log.push(...this.#program.log);
    await this.begin();
  }

  /** Ends it and removes what it wrote. */
  async remove() {
    await this.#program?.stop();
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** The one thing no case can know beforehand. */
  async epoch() {
    const { status, body } = await exchange(this.url, { path: "/anywire/poll?channels=conformance", headers: CREDENTIALS });
    if (status !== 200) {
      throw new Error(`a first poll was answered ${status} ${body}`);
    }
    return JSON.parse(body).cursor.split("-")[0];
  }
}
