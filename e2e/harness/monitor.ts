/**
 * What the monitor's tests need: a host that reports, a wire that counts, and what the system itself says.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { end, start } from "../../testing/program.mjs";
import { binary, environment } from "../../testing/server.mjs";
import { sleep } from "../../testing/until.mjs";

/** `anywire monitor --to`: another host, stopped and started at will. */
export class Reporter {
  readonly #child: ChildProcess;

  constructor(url: string, host: string) {
    this.#child = start(binary(), ["monitor", "--to", url, "--host", host], {
      stdio: "ignore",
      env: environment(),
    });
  }

  async stop(): Promise<void> {
    await end(this.#child, "SIGKILL");
  }
}

/** A process that keeps one core busy, from when this resolves until it is stopped. */
export async function busyCore(): Promise<() => void> {
  const busy = "process.stdout.write('busy', () => { for (;;); });";
  const child = start(process.execPath, ["-e", busy], { stdio: ["ignore", "pipe", "ignore"] });
  if (!child.stdout) throw new Error("no output");
  await once(child.stdout, "data");
  return () => child.kill("SIGKILL");
}

interface Passed {
  readonly at: number;
  readonly bytes: number;
  readonly briefs: number;
}

/** What passed in a span of time. */
export interface Traffic {
  readonly bytes: number;
  readonly requests: number;
  /** Events of the brief stream. */
  readonly briefs: number;
}

/** Passes bytes on and counts those that come from the server, with their times. */
export class CountingWire {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #passed: Passed[] = [];
  readonly #requests: number[] = [];

  private constructor(target: number) {
    this.#server = net.createServer((client) => {
      const upstream = net.connect(target, "127.0.0.1");
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          this.#sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      }
      upstream.on("data", (bytes) => {
        const briefs = bytes.toString("latin1").split('"event":"s"').length - 1;
        this.#passed.push({ at: Date.now(), bytes: bytes.length, briefs });
      });
      // Heads of requests stand at the beginning of what a browser writes.
      client.on("data", (bytes) => {
        if (/^(GET|POST|PUT|DELETE|HEAD|OPTIONS) \S+ HTTP\/1\.1\r\n/.test(bytes.toString("latin1")))
          this.#requests.push(Date.now());
      });
      client.pipe(upstream);
      upstream.pipe(client);
    });
  }

  static async start(target: number): Promise<CountingWire> {
    const wire = new CountingWire(target);
    wire.#server.listen(0, "127.0.0.1");
    await once(wire.#server, "listening");
    return wire;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `http://127.0.0.1:${address.port}`;
  }

  /** What came from the server, and how many requests went to it, after `from` and until `to`. */
  between(from: number, to: number): Traffic {
    const passed = this.#passed.filter((one) => one.at > from && one.at <= to);
    const sum = (of: (one: Passed) => number) => passed.reduce((all, one) => all + of(one), 0);
    return {
      bytes: sum((one) => one.bytes),
      requests: this.#requests.filter((at) => at > from && at <= to).length,
      briefs: sum((one) => one.briefs),
    };
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Writes a request as it stands and answers how many bytes went and came until nothing more comes. */
export async function exchange(port: number, request: string): Promise<{ sent: number; received: string }> {
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
  });
  socket.write(request);
  while (!received.includes("\r\n\r\n")) await sleep(10);
  socket.destroy();
  return { sent: Buffer.byteLength(request), received };
}

/** Values of /proc/meminfo, in bytes. */
export async function meminfo(): Promise<(name: string) => number> {
  const text = await readFile("/proc/meminfo", "utf8");
  return (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN) * 1024;
}

/** Busy and whole processor time since the start of the machine, in ticks. */
export async function processorTime(): Promise<{ busy: number; whole: number }> {
  const line = (await readFile("/proc/stat", "utf8")).split("\n")[0] ?? "";
  // proc(5): user nice system idle iowait irq softirq steal; guests are in user and nice already.
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const whole = ticks.reduce((sum, one) => sum + one, 0);
  return { busy: whole - (ticks[3] ?? 0) - (ticks[4] ?? 0), whole };
}
