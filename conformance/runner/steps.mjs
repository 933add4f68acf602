/**
 * The steps of a case, one function each. README.md describes them.
 */

import { exchange, stream } from "../../testing/http.mjs";
import { pipeline } from "./pipeline.mjs";
import { fill, matchJson, matchText } from "./template.mjs";
import { sign } from "./token.mjs";
import { connect } from "./websocket.mjs";

const WAIT_MS = 5_000;
/** The pause between two requests of an `until`. */
const AGAIN_MS = 20;

/** What one case has open and knows. */
export class Scene {
  names = new Map();
  /** Headers of every request without a body. */
  headers;
  /** Where requests go: `{url}`, and for steps that stop it `{end, restart}`. */
  server;
  #open = new Map();

  constructor(server, headers = {}) {
    this.server = server;
    this.headers = headers;
  }

  /** Runs one step; throws if something is not as expected. */
  async run(step) {
    const kind = Object.keys(STEPS).find((name) => name in step);
    if (kind === undefined) {
      throw new Error(`unknown step ${JSON.stringify(step)}`);
    }
    await STEPS[kind](this, step);
  }

  get base() {
    return this.server.url;
  }

  keep(name, thing) {
    this.#open.set(name, thing);
  }

  find(name) {
    const thing = this.#open.get(name);
    if (thing === undefined) {
      throw new Error(`nothing is open under the name ${name}`);
    }
    return thing;
  }

  /** Ends what is still open. */
  leave() {
    this.#open.forEach((thing) => thing.leave?.());
  }
}

const STEPS = {
  request,
  pipeline: pipelined,
  start,
  answer,
  stream: openStream,
  blocks,
  ended,
  connect: openSocket,
  send,
  frames,
  pongs,
  ended_socket: endedSocket,
  closed,
  close,
  leave,
  token,
  stop,
  restart,
  wait_ms: wait,
};

/**
 * `{"request": {method, path, headers, json | text}, "expect": …, "until"?: true}`: with `until` again and
 * again, until the answer is as expected.
 */
async function request(scene, step) {
  for (const until = Date.now() + WAIT_MS; ; ) {
    const answer = await exchange(scene.base, prepare(scene, step.request));
    if (!step.until || isExpected(scene, step.expect, answer) || Date.now() > until) {
      return expectAnswer(scene, step.expect, answer);
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function isExpected(scene, expected, answer) {
  try {
    expectAnswer({ names: new Map(scene.names) }, expected, answer);
    return true;
  } catch {
    return false;
  }
}

/**
 * `{"pipeline": [requests], "piece_bytes"?: n, "expect": […]}`: all on one connection, without waiting for
 * answers.
 */
async function pipelined(scene, step) {
  const requests = step.pipeline.map((one) => prepare(scene, one));
  const answers = await pipeline(scene.base, requests, { pieceBytes: step.piece_bytes, waitMs: WAIT_MS });
  step.expect.forEach((expected, index) => expectAnswer(scene, expected, answers[index]));
}

/** `{"start": name, …}` sends the same and does not wait; `answer` does. */
async function start(scene, step) {
  const cut = new AbortController();
  const sent = exchange(scene.base, { ...prepare(scene, step), signal: cut.signal });
  // Who waits is told; until then a failure is nobody's.
  sent.catch(() => {});
  scene.keep(step.start, { sent, leave: () => cut.abort() });
}

/** `{"answer": name, "expect": …}` */
async function answer(scene, step) {
  const { sent } = scene.find(step.answer);
  expectAnswer(scene, step.expect, await withLimit(sent, `no answer to ${step.answer}`));
}

/** `{"stream": name, "path", "headers", "expect": {status, headers}}` */
async function openStream(scene, step) {
  const opened = await stream(scene.base, prepare(scene, step));
  scene.keep(step.stream, opened);
  expectAnswer(scene, step.expect ?? { status: 200 }, opened);
}

/** `{"blocks": name, "expect": [{id, data, event, retry, comment}]}`: the next blocks, field for field. */
async function blocks(scene, step) {
  const { blocks: queue } = scene.find(step.blocks);
  for (const [index, expected] of step.expect.entries()) {
    const block = await queue.next(WAIT_MS).catch((error) => {
      throw new Error(`block ${index} ${JSON.stringify(expected)}: ${error.message}`);
    });
    const actual = typeof expected.data === "object" && "data" in block ? { ...block, data: JSON.parse(block.data) } : block;
    matchJson(expected, actual, scene.names, `block ${index}`);
  }
}

/** `{"ended": name, "within_ms"?}`: the stream ends, and nothing else comes before. */
async function ended(scene, step) {
  const { blocks: queue } = scene.find(step.ended);
  await queue.untilEnd(step.within_ms ?? WAIT_MS);
  matchJson([], queue.drain(), scene.names, "blocks before the end");
}

/** `{"connect": name, "path", "headers", "protocols", "expect": {status, headers}}` */
async function openSocket(scene, step) {
  const { path = "/anywire/ws", headers, protocols = ["anywire.v1"] } = fill(step, scene.names);
  const opened = await withLimit(connect(scene.base, { path, headers: { ...scene.headers, ...headers }, protocols }), "no answer to the handshake");
  if (opened.socket !== undefined) {
    scene.keep(step.connect, opened.socket);
  }
  expectAnswer(scene, step.expect ?? { status: 101 }, opened);
}

/**
 * `{"send": name, "json" | "text" | "binary" | "bytes"}`: bytes are hexadecimal digits of a whole or broken
 * frame, binary those of a message.
 */
async function send(scene, step) {
  const socket = scene.find(step.send);
  if (step.bytes !== undefined) {
    socket.send(Buffer.from(step.bytes, "hex"));
  } else if (step.binary !== undefined) {
    socket.binary(Buffer.from(step.binary, "hex"));
  } else {
    socket.text(step.text !== undefined ? fill(step.text, scene.names) : JSON.stringify(fill(step.json, scene.names)));
  }
}

/** `{"frames": name, "expect": [json | text], "any_order"?: true, "within_ms"?: n}`: the next frames. */
async function frames(scene, step) {
  const { texts } = scene.find(step.frames);
  const waitMs = step.within_ms ?? WAIT_MS;
  const pending = [...step.expect];
  for (let index = 0; pending.length > 0; index += 1) {
    const text = await texts.next(waitMs).catch((error) => {
      throw new Error(`frame ${index} ${JSON.stringify(pending[0])}: ${error.message}`);
    });
    const at = step.any_order ? pending.findIndex((expected) => fits(expected, text, scene.names)) : 0;
    if (at < 0) {
      throw new Error(`frame ${index} is none of those expected: ${text}`);
    }
    matchFrame(pending.splice(at, 1)[0], text, scene.names, `frame ${index}`);
  }
}

function fits(expected, text, names) {
  try {
    matchFrame(expected, text, new Map(names), "");
    return true;
  } catch {
    return false;
  }
}

function matchFrame(expected, text, names, path) {
  if (typeof expected === "string") {
    matchText(expected, text, names, path);
  } else {
    matchJson(expected, JSON.parse(text), names, path);
  }
}

/** `{"pongs": name, "expect": [hex]}` */
async function pongs(scene, step) {
  for (const expected of step.expect) {
    matchJson(expected, await scene.find(step.pongs).pongs.next(WAIT_MS), scene.names, "pong");
  }
}

/**
 * `{"closed": name, "code", "reason"?, "after_frames"?: true, "within_ms"?}`: the server closes, and sends no
 * text before it unless that is allowed.
 */
async function closed(scene, step) {
  const socket = scene.find(step.closed);
  const { code, reason } = await socket.untilClosed(step.within_ms ?? WAIT_MS);
  if (!step.after_frames) {
    matchJson([], socket.texts.drain(), scene.names, "frames before the close");
  }
  matchJson(step.code, code, scene.names, "close code");
  matchText(step.reason ?? "<any>", reason, scene.names, "close reason");
}

/**
 * `{"ended_socket": name, "within_ms"?}`: the server ends the connection, with or without a close frame; what
 * it sent before does not count.
 */
async function endedSocket(scene, step) {
  await scene.find(step.ended_socket).texts.untilEnd(step.within_ms ?? WAIT_MS);
}

/** `{"close": name, "code"?}`: says goodbye. */
async function close(scene, step) {
  scene.find(step.close).close(step.code);
}

/** `{"leave": name}`: drops the connection without a word. */
async function leave(scene, step) {
  scene.find(step.leave).leave();
}

/** `{"token": name, "claims", "seconds"}`: signs a token that runs out so soon. */
async function token(scene, step) {
  scene.names.set(step.token, sign(fill(step.claims, scene.names), step.seconds));
}

/** `{"stop": true}`: the server is asked to end. */
async function stop(scene) {
  scene.server.end();
}

/** `{"restart": true}`: the server ends, and starts again on the same directory. */
async function restart(scene) {
  await scene.server.restart();
}

/** `{"wait_ms": n}`: only where time itself is the subject. */
function wait(_scene, step) {
  return new Promise((resolve) => setTimeout(resolve, step.wait_ms));
}

function prepare(scene, { method, path, headers, json, text }) {
  const body = json !== undefined ? JSON.stringify(fill(json, scene.names)) : text;
  const typed = body === undefined ? scene.headers : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const sent = { ...typed, ...fill(headers ?? {}, scene.names) };
  return { method, path: fill(path, scene.names), headers: sent, body };
}

function expectAnswer(scene, expected, actual) {
  if (expected.status !== actual.status) {
    throw new Error(`status: expected ${expected.status}, got ${actual.status} ${actual.body ?? ""}`);
  }
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    const found = actual.headers[name.toLowerCase()] ?? null;
    if (value?.tokens !== undefined) {
      matchJson(value.tokens, tokens(found ?? ""), scene.names, `header ${name}`);
    } else {
      matchJson(value, found, scene.names, `header ${name}`);
    }
  }
  if (expected.text !== undefined) {
    matchText(expected.text, actual.body, scene.names, "body");
  }
  if (expected.json !== undefined) {
    matchJson(expected.json, parseBody(actual.body), scene.names, "body");
  }
}

/** The members of a list header, whatever their order and case. */
function tokens(value) {
  return value.toLowerCase().split(",").map((token) => token.trim()).sort();
}

function parseBody(body) {
  try {
    return JSON.parse(body);
  } catch {
    throw new Error(`the body is no JSON: ${body}`);
  }
}

function withLimit(promise, message) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${message} for ${WAIT_MS} ms`)), WAIT_MS);
  });
  return Promise.race([promise, limit]).finally(() => clearTimeout(timer));
}
