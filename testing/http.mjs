/**
 * HTTP as a test needs it: any header, whole answers, event streams, and JSON that a server does not refuse.
 */
import http from "node:http";
import { Queue } from "./queue.mjs";
import { SseSplitter } from "./sse.mjs";

/**
 * @typedef {{ method?: string, path: string, headers?: http.OutgoingHttpHeaders, body?: string, signal?:
 * AbortSignal }} Request
 * @typedef {{ status: number | undefined, headers: http.IncomingHttpHeaders }} Head
 */

/**
 * Sends a request and resolves with the answer's head; the body is still to be read.
 *
 * @param {string} base
 * @param {Request} request
 * @returns {Promise<http.IncomingMessage>}
 */
function send(base, { body, ...request }) {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    // A connection each: what one case does to its connection is no other's business.
    const sent = http.request({ host: hostname, port, agent: false, ...request }, resolve);
    sent.on("error", reject);
    sent.end(body);
  });
}

/** @param {http.IncomingMessage} answer */
async function textOf(answer) {
  /** @type {Buffer[]} */
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/**
 * A whole answer.
 *
 * @param {string} base
 * @param {Request} request
 * @returns {Promise<Head & { body: string }>}
 */
export async function exchange(base, request) {
  const answer = await send(base, request);
  return { status: answer.statusCode, headers: answer.headers, body: await textOf(answer) };
}

/**
 * An event stream. It has a `body` only where it is refused.
 *
 * @param {string} base
 * @param {Request} request
 * @returns {Promise<Head & { body?: string, blocks: Queue<import("./sse.mjs").Block>, leave: () => void }>}
 */
export async function stream(base, request) {
  const headers = { accept: "text/event-stream", ...request.headers };
  const answer = await send(base, { ...request, headers });
  const head = { status: answer.statusCode, headers: answer.headers };
  const leave = () => void answer.destroy();
  if (answer.statusCode !== 200) return { ...head, body: await textOf(answer), blocks: new Queue(), leave };
  return { ...head, blocks: readBlocks(answer), leave };
}

/** @param {http.IncomingMessage} answer */
function readBlocks(answer) {
  /** @type {Queue<import("./sse.mjs").Block>} */
  const blocks = new Queue();
  const splitter = new SseSplitter((block) => blocks.push(block));
  answer.on("data", (chunk) => splitter.push(chunk));
  answer.on("end", () => {
    const within = splitter.rest === "" ? "" : ` within ${JSON.stringify(splitter.rest)}`;
    blocks.end(`the stream ended${within}`);
  });
  answer.on("error", (error) => blocks.end(error.message));
  answer.on("close", () => blocks.end("the connection closed"));
  return blocks;
}

/**
 * Asks for JSON, or sends a value as JSON; throws what the server says where it refuses. An empty answer is
 * null.
 *
 * @template [T=unknown]
 * @param {string} url
 * @param {{ method?: string, send?: unknown }} [request] `send` is posted, unless there is a method
 * @returns {Promise<T>}
 */
export async function json(url, { send, method = send === undefined ? "GET" : "POST" } = {}) {
  const body = send === undefined ? {} : { body: JSON.stringify(send) };
  const answer = await fetch(url, { method, headers: { "Content-Type": "application/json" }, ...body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${url} answered ${answer.status}: ${text}`);
  return JSON.parse(text === "" ? "null" : text);
}
