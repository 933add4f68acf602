/**
 * A proxy between a client and the server that misbehaves on request: it cuts, refuses WebSocket, holds SSE
 * back, and holds uploads up. It notes every upload request, so that a test can tell whether a byte was sent
 * twice.
 */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import { sleep } from "../../testing/until.mjs";

/** One request that carried bytes of an upload. */
export interface Patch {
  readonly path: string;
  /** `Upload-Offset` of the request. */
  readonly offset: number;
  /** Bytes that went on to the server. */
  bytes: number;
}

/** Until more can be written, or nothing any more. */
function drained(stream: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}

export class FaultyProxy {
  /** WebSocket handshakes are refused with 403. */
  blockWebSocket = false;
  /** The bodies of SSE answers are held back, as a buffering proxy does. */
  bufferSse = false;
  /**
   * Uploads stand still at this byte until it is raised, so that there is a middle in which something can
   * happen, however fast or slow.
   */
  uploadHoldAt = Number.POSITIVE_INFINITY;
  readonly patches: Patch[] = [];
  /** Requests by transport, in order. */
  readonly seen: string[] = [];
  readonly #target: number;
  readonly #server: http.Server;
  readonly #sockets = new Set<Duplex>();
  #cut = false;

  private constructor(target: number) {
    this.#target = target;
    this.#server = http.createServer((request, response) => void this.#forward(request, response));
    this.#server.on("connection", (socket) => {
      if (this.#cut) socket.destroy();
      else this.#track(socket);
    });
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  static async start(target: number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return address.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isCut(): boolean {
    return this.#cut;
  }

  /** Ends every connection at once; new ones are ended as they come. */
  cut(): void {
    this.#cut = true;
    this.drop();
  }

  mend(): void {
    this.#cut = false;
  }

  /** Ends every connection at once; new ones work. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.drop();
    this.#server.close();
    await once(this.#server, "close");
  }

  #track(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  }

  #upstream(request: http.IncomingMessage): http.ClientRequest {
    const { method, url: path, headers } = request;
    const upstream = http.request({
      host: "127.0.0.1",
      port: this.#target,
      method,
      path,
      headers,
      agent: false,
    });
    upstream.on("socket", (socket) => this.#track(socket));
    return upstream;
  }

  async #forward(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = request.url ?? "";
    if (path.startsWith("/anywire/")) this.seen.push(path.split("?")[0] ?? "");
    const upstream = this.#upstream(request);
    upstream.on("error", () => response.destroy());
    upstream.on("response", (answer) => this.#answer(answer, response));
    response.on("close", () => upstream.destroy());
    const patch = request.method === "PATCH" ? this.#note(request, path) : null;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        if (!upstream.write(chunk)) await drained(upstream);
        if (patch) patch.bytes += chunk.length;
        while (patch && patch.offset + patch.bytes >= this.uploadHoldAt && !upstream.destroyed)
          await sleep(10);
      }
      upstream.end();
    } catch {
      upstream.destroy();
    }
  }

  #note(request: http.IncomingMessage, path: string): Patch {
    const patch = { path, offset: Number(request.headers["upload-offset"]), bytes: 0 };
    this.patches.push(patch);
    return patch;
  }

  #answer(answer: http.IncomingMessage, response: http.ServerResponse): void {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.on("error", () => response.destroy());
    answer.on("aborted", () => response.destroy());
    const held = this.bufferSse && answer.headers["content-type"]?.startsWith("text/event-stream");
    if (held) answer.resume();
    else answer.pipe(response);
  }

  #upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    this.seen.push("upgrade");
    if (this.blockWebSocket) {
      socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return;
    }
    const upstream = net.connect(this.#target, "127.0.0.1", () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let index = 0; index < request.rawHeaders.length; index += 2) {
        lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
      }
      upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    this.#track(upstream);
    upstream.on("close", () => socket.destroy());
    socket.on("close", () => upstream.destroy());
  }
}
