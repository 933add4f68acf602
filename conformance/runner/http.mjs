/**
 * HTTP/1.1 as a case needs it: any header, whole answers, and event streams.
 *
 * Knows: requests, answers, the event stream format (WHATWG HTML, 9.2.6). Does not know: Anywire.
 */

import http from "node:http";
import { Queue } from "./queue.mjs";

/** Sends a request and resolves with the answer's head; the body is still to be read. */
function send(base, { method = "GET", path, headers = {}, body, signal }) {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    // A connection each: what one case does to its connection is no other's business.
    const request = http.request({ host: hostname, port, method, path, headers, signal, agent: false }, resolve);
    request.on("error", reject);
    request.end(body);
  });
}

/** A whole answer: `{status, headers, body}`. */
export async function exchange(base, request) {
  const answer = await send(base, request);
  const chunks = [];
  for await (const chunk of answer) {
    chunks.push(chunk);
  }
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString() };
}

/** An event stream: `{status, headers, body, blocks, leave}`; `body` only where it is not a stream. */
export async function stream(base, request) {
  const answer = await send(base, { ...request, headers: { accept: "text/event-stream", ...request.headers } });
  const head = { status: answer.statusCode, headers: answer.headers };
  const leave = () => answer.destroy();
  if (answer.statusCode !== 200) {
    const chunks = [];
    for await (const chunk of answer) {
      chunks.push(chunk);
    }
    return { ...head, body: Buffer.concat(chunks).toString(), blocks: new Queue(), leave };
  }
  return { ...head, blocks: readBlocks(answer), leave };
}

function readBlocks(answer) {
  const blocks = new Queue();
  let rest = "";
  answer.setEncoding("utf8");
  answer.on("data", (chunk) => {
    const parts = (rest + chunk).split("\n\n");
    rest = parts.pop();
    parts.forEach((part) => blocks.push(parseBlock(part)));
  });
  answer.on("end", () => blocks.end(rest === "" ? "the stream ended" : `the stream ended within ${JSON.stringify(rest)}`));
  answer.on("error", (error) => blocks.end(error.message));
  answer.on("close", () => blocks.end("the connection closed"));
  return blocks;
}

/** The fields of one block; a comment is the field `comment`. A field that comes twice has its lines joined. */
function parseBlock(text) {
  const fields = {};
  for (const line of text.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/su.exec(line);
    const field = name === "" ? "comment" : name;
    fields[field] = field in fields ? `${fields[field]}\n${value}` : value;
  }
  return fields;
}
