import { expect, test } from "vitest";
import { type SseBlock, SseParser } from "../src/sse-parser.js";

const block = (part: Partial<SseBlock>): SseBlock => ({ event: "message", data: null, id: null, ...part });

/** Every split of the bytes into two, and byte by byte, gives what is written here. */
function check(text: string, expected: SseBlock[]): void {
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const parser = new SseParser();
    expect([...parser.push(bytes.slice(0, cut)), ...parser.push(bytes.slice(cut))]).toEqual(expected);
  }
  const parser = new SseParser();
  expect([...bytes].flatMap((byte) => parser.push(Uint8Array.of(byte)))).toEqual(expected);
}

test("the first block holds a cursor and no data", () => {
  check("retry: 1000\nid: 1f0c93ab-16\n\n", [block({ id: "1f0c93ab-16" })]);
});

test("LF, CR and CRLF end a line, also mixed", () => {
  for (const end of ["\n", "\r", "\r\n"]) {
    check(["id: 1", "data: x", "", "id: 2", "data: y", "", ""].join(end), [
      block({ id: "1", data: "x" }),
      block({ id: "2", data: "y" }),
    ]);
  }
  check("id: 1\r\ndata: x\rdata: y\n\r\n", [block({ id: "1", data: "x\ny" })]);
});

test("a byte order mark at the start is dropped, and characters survive being cut", () => {
  check("\uFEFFdata: Việt 😀\n\n", [block({ data: "Việt 😀" })]);
});

test("comments, unknown fields and fields without a value are dealt with", () => {
  check(": heartbeat\nid: 1f0c93ab-18\n\n", [block({ id: "1f0c93ab-18" })]);
  check("data\ndata:\ndata: x\nfoo: bar\n\n", [block({ data: "\n\nx" })]);
  check("event: gap\ndata:  two spaces\n\n", [block({ event: "gap", data: " two spaces" })]);
  check(": only a comment\n\n\n\n", []);
});

test("a block that has no end yet is held back", () => {
  check("data: x\n\ndata: y\n", [block({ data: "x" })]);
});
