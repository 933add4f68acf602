/**
 * The server the cases talk to, with the configuration that they name; it may be stopped and started again.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { exchange } from "../../testing/http.mjs";
import { Server as Program } from "../../testing/server.mjs";

const SERVERS = join(import.meta.dirname, "..", "servers");
/** The key in servers/keys.toml; servers without keys don't look at it. */
const CREDENTIALS = { authorization: "Bearer conformance-api-key" };

export class Server {
  #program;
  #ending = undefined;

  constructor(program) {
    this.#program = program;
  }

  /** Starts one with servers/`name`.toml on a free port and a fresh directory. */
  static async start(name) {
    const config = await readFile(join(SERVERS, `${name}.toml`), "utf8");
    return new Server(await Program.start({ config }));
  }

  get url() {
    return this.#program.url;
  }

  /** What it wrote last, in all its runs. */
  get log() {
    return this.#program.log;
  }

  /** Asks for an orderly end and does not wait for it. */
  end() {
    this.#ending = this.#program.stop();
    // Who waits for it is told; until then a failure is nobody's.
    this.#ending.catch(() => {});
  }

  /** Waits for the end, and starts it again on the same directory. */
  async restart() {
    await (this.#ending ?? this.#program.stop());
    this.#ending = undefined;
    await this.#program.boot();
  }

  /** Ends it and removes what it wrote. */
  async remove() {
    await this.#ending;
    await this.#program.dispose();
  }

  /** The one thing no case can know beforehand. */
  async epoch() {
    const request = { path: "/anywire/poll?channels=conformance", headers: CREDENTIALS };
    const { status, body } = await exchange(this.url, request);
    if (status !== 200) {
      throw new Error(`a first poll was answered ${status} ${body}`);
    }
    return JSON.parse(body).cursor.split("-")[0];
  }
}
