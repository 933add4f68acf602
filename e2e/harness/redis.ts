/** The real redis-server: on a port of its own, in memory only. */
import type { ChildProcess } from "node:child_process";
import { createClient } from "redis";
import { freePort } from "../../testing/ports.mjs";
import { end, readyWhen, start } from "../../testing/program.mjs";

export class Redis {
  readonly port: number;
  #child: ChildProcess | null = null;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<Redis> {
    const redis = new Redis(await freePort());
    await redis.boot();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Starts it (again) on the same port; resolves when it answers. */
  async boot(): Promise<void> {
    const options = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const child = start("redis-server", options, { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    await readyWhen("redis-server", child, async () => {
      const client = createClient({ url: this.url, socket: { reconnectStrategy: false } });
      client.on("error", () => {});
      await client.connect();
      const answer = await client.ping();
      await client.close();
      return answer === "PONG";
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child) await end(child, "SIGKILL");
  }
}
