/**
 * A WebSocket client that can also misbehave: it sends any bytes, and checks what a server may not do.
 */

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { Queue } from "../../testing/queue.mjs";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const OPCODES = { 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

/**
 * Asks for the upgrade. Resolves with `{status, headers, body}` or, if it is granted, `{status, headers,
 * socket}`.
 */
export function connect(base, { path, headers = {}, protocols = [] }) {
  const { hostname, port } = new URL(base);
  const key = randomBytes(16).toString("base64");
  const asked = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": key,
    ...(protocols.length > 0 ? { "sec-websocket-protocol": protocols.join(", ") } : {}),
    ...headers,
  };
  const sent = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== null));
  return new Promise((resolve, reject) => {
    const request = http.request({ host: hostname, port, path, headers: sent, agent: false });
    request.on("upgrade", (answer, socket, head) => {
      const accept = createHash("sha1").update(key + MAGIC).digest("base64");
      if (answer.headers["sec-websocket-accept"] !== accept) {
        socket.destroy();
        reject(new Error(`sec-websocket-accept is ${answer.headers["sec-websocket-accept"]}, expected ${accept}`));
        return;
      }
      resolve({ status: 101, headers: answer.headers, socket: new Client(socket, head) });
    });
    request.on("response", async (answer) => {
      const chunks = [];
      for await (const chunk of answer) {
        chunks.push(chunk);
      }
      resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString() });
    });
    request.on("error", reject);
    request.end();
  });
}

/** A masked, final frame. */
export function frame(opcode, payload) {
  const bytes = Buffer.from(payload);
  const mask = randomBytes(4);
  const masked = bytes.map((byte, index) => byte ^ mask[index % 4]);
  return Buffer.concat([Buffer.from([0x80 | opcode]), length(bytes.length), mask, masked]);
}

function length(count) {
  if (count < 126) {
    return Buffer.from([0x80 | count]);
  }
  const bytes = Buffer.alloc(count < 65_536 ? 3 : 9);
  bytes[0] = count < 65_536 ? 0xfe : 0xff;
  bytes.writeUIntBE(count, bytes.length - (count < 65_536 ? 2 : 6), count < 65_536 ? 2 : 6);
  return bytes;
}

class Client {
  /** Texts the server sent; bytes stand among them as `binary:` and hexadecimal digits. */
  texts = new Queue();
  /** Pongs, as hexadecimal digits. */
  pongs = new Queue();
  /** The server's close: `{code, reason}`. */
  closed = undefined;
  #socket;
  #bytes = Buffer.alloc(0);
  #leaving = false;

  constructor(socket, head) {
    this.#socket = socket;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("the connection closed"));
    this.#receive(head);
  }

  send(bytes) {
    this.#socket.write(bytes);
  }

  text(text) {
    this.send(frame(1, text));
  }

  binary(bytes) {
    this.send(frame(2, bytes));
  }

  close(code, reason = "") {
    this.#leaving = true;
    const payload = code === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
    this.send(frame(8, payload));
  }

  leave() {
    this.#socket.destroy();
  }

  /** Whether the server ended TCP, or left that to us, is not looked at: only that it said why. */
  async untilClosed(waitMs) {
    await this.texts.untilEnd(waitMs);
    if (this.closed === undefined) {
      throw new Error(`no close frame came: ${this.texts.ended}`);
    }
    return this.closed;
  }

  #end(why) {
    this.texts.end(why);
    this.pongs.end(why);
  }

  #receive(chunk) {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (let read = parse(this.#bytes); read !== undefined; read = parse(this.#bytes)) {
      this.#bytes = this.#bytes.subarray(read.bytes);
      if (read.wrong !== undefined) {
        this.#end(`the server broke RFC 6455: ${read.wrong}`);
        this.leave();
        return;
      }
      this.#take(read.kind, read.payload);
    }
  }

  #take(kind, payload) {
    if (kind === "text") {
      this.texts.push(payload.toString());
    } else if (kind === "ping") {
      this.send(frame(10, payload));
    } else if (kind === "pong") {
      this.pongs.push(payload.toString("hex"));
    } else if (kind === "close") {
      this.closed = { code: payload.length < 2 ? 1005 : payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
      if (!this.#leaving) {
        this.send(frame(8, payload.subarray(0, 2)));
      }
      this.#end("the server closed");
    } else {
      this.texts.push(`binary:${payload.toString("hex")}`);
    }
  }
}

/** The frame at the front, `undefined` if it is not all there. */
function parse(bytes) {
  if (bytes.length < 2) {
    return undefined;
  }
  const short = bytes[1] & 0x7f;
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < start) {
    return undefined;
  }
  const count = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const kind = OPCODES[bytes[0] & 0x0f];
  const wrong = whatIsWrong(bytes, short, count, kind);
  if (wrong !== undefined) {
    return { wrong, bytes: bytes.length };
  }
  return bytes.length < start + count ? undefined : { kind, payload: bytes.subarray(start, start + count), bytes: start + count };
}

function whatIsWrong(bytes, short, count, kind) {
  if ((bytes[0] & 0xf0) !== 0x80) return `first byte ${bytes[0].toString(16)}`;
  if (kind === undefined) return `opcode ${bytes[0] & 0x0f}`;
  if (bytes[1] & 0x80) return "a masked frame";
  if ((short === 126 && count < 126) || (short === 127 && count < 65_536)) return "a length in a longer form than needed";
  return undefined;
}
