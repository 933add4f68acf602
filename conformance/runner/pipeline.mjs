/**
 * Several requests on one connection, sent at once or byte by byte, and their answers in order.
 */

import net from "node:net";

/** Sends the requests and resolves with as many answers `{status, headers, body}`. */
export function pipeline(base, requests, { pieceBytes = Number.MAX_SAFE_INTEGER, waitMs }) {
  const { hostname, port } = new URL(base);
  const bytes = Buffer.concat(requests.map((request) => requestBytes(request, `${hostname}:${port}`)));
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: hostname, port });
    const timer = setTimeout(() => fail(`${answers.length} of ${requests.length} answers in ${waitMs} ms`), waitMs);
    const answers = [];
    let rest = Buffer.alloc(0);
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
    };
    const fail = (why) => {
      finish();
      reject(new Error(why));
    };
    socket.setNoDelay(true);
    socket.on("connect", () => sendPieces(socket, bytes, pieceBytes));
    socket.on("error", (error) => fail(error.message));
    socket.on("close", () => fail(`the connection closed after ${answers.length} of ${requests.length} answers`));
    socket.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let read = parse(rest); read !== undefined; read = parse(rest)) {
        rest = rest.subarray(read.bytes);
        answers.push(read.answer);
      }
      if (answers.length >= requests.length) {
        finish();
        resolve(answers);
      }
    });
  });
}

async function sendPieces(socket, bytes, pieceBytes) {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    socket.write(bytes.subarray(at, at + pieceBytes));
    // The next turn of the loop: so pieces leave as segments of their own.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function requestBytes({ method = "GET", path, headers = {}, body = "" }, host) {
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
}

/** The answer at the front, `undefined` if it is not all there. Its length must be told. */
function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) {
    return undefined;
  }
  const [first, ...lines] = bytes.subarray(0, end).toString().split("\r\n");
  const status = Number(first.split(" ")[1]);
  const headers = {};
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(":")).toLowerCase();
    const value = line.slice(line.indexOf(":") + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const count = status === 204 || status === 304 ? 0 : Number(headers["content-length"] ?? Number.NaN);
  if (Number.isNaN(count)) {
    throw new Error(`an answer without content-length: ${first}`);
  }
  const start = end + 4;
  if (bytes.length < start + count) {
    return undefined;
  }
  return { answer: { status, headers, body: bytes.subarray(start, start + count).toString() }, bytes: start + count };
}
