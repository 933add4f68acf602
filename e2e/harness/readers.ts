/**
 * Readers of one channel, each over another wire. A reader's step opens the wire at a cursor, hands over what
 * arrives, and ends when it has had enough events or the wire broke; a hopper strings steps together, over
 * changing wires.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import WebSocket from "ws";
import { SseSplitter } from "../../testing/sse.mjs";
import { type Event, epochOf, type Gap, type Page } from "./log.ts";
import type { Random } from "./random.ts";

/** What a step is told to do. */
export interface Step {
  readonly url: string;
  readonly channel: string;
  readonly after: string;
  /** Events after which the wire is cut. */
  readonly enough: number;
  /** Answers false to end the step. */
  readonly take: (event: Event, cursor: string) => boolean;
  readonly gap: (gap: Gap) => void;
}

/** Reads over one wire and answers the cursor to go on from. */
export type Wire = (step: Step) => Promise<string>;

const target = (step: Step, kind: string) =>
  `${step.url}/anywire/${kind}?channels=${encodeURIComponent(step.channel)}`;

/** `curl -N` on SSE, resumed by `Last-Event-ID`. */
export const curlSse: Wire = async (step) => {
  const args = ["-sSN", "-H", `Last-Event-ID: ${step.after}`, target(step, "sse")];
  const curl = spawn("curl", args, { stdio: ["ignore", "pipe", "ignore"] });
  let cursor = step.after;
  let count = 0;
  let open = true;
  const splitter = new SseSplitter((block) => {
    if (!open) return;
    if (block.id !== undefined) cursor = block.id;
    if (block.event === "gap") step.gap(JSON.parse(block.data ?? "") as Gap);
    else if (block.event === undefined && block.data !== undefined) {
      count += 1;
      open = step.take(JSON.parse(block.data) as Event, cursor) && count < step.enough;
      if (!open) curl.kill("SIGKILL");
    }
  });
  curl.stdout.on("data", (bytes: Buffer) => splitter.push(bytes));
  await once(curl, "close");
  return cursor;
};

/** `curl` on poll or long-poll, one request after the other. */
const curlPollFor =
  (wait: number): Wire =>
  async (step) => {
    let cursor = step.after;
    for (let count = 0; count < step.enough; ) {
      const args = ["-sS", `${target(step, "poll")}&after=${cursor}&wait=${wait}`];
      const page = await curlJson(args);
      if (page === null) {
        if (wait === 0) return cursor;
        continue;
      }
      if (page.gap) step.gap(page.gap);
      for (const event of page.events) {
        count += 1;
        if (!step.take(event, `${epochOf(page.cursor)}-${event.offset}`)) return page.cursor;
      }
      cursor = page.cursor;
    }
    return cursor;
  };

async function curlJson(args: readonly string[]): Promise<Page | null> {
  const curl = spawn("curl", args, { stdio: ["ignore", "pipe", "ignore"] });
  const chunks: Buffer[] = [];
  curl.stdout.on("data", (bytes: Buffer) => chunks.push(bytes));
  await once(curl, "close");
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? null : (JSON.parse(text) as Page);
}

export const curlPoll = curlPollFor(0);
export const curlLongPoll = curlPollFor(20);

/** A frame from the server, as far as a reader cares. */
type Frame =
  | ({ readonly op: "event" } & Event)
  | ({ readonly op: "gap" } & Gap)
  | { readonly op: "subscribed" | "heartbeat"; readonly cursor: string }
  | { readonly op: "error"; readonly code: string; readonly message: string }
  | { readonly op: "goodbye" };

/** A raw WebSocket, cut without a close handshake. */
export const rawWebSocket: Wire = (step) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${step.url.replace("http", "ws")}/anywire/ws`, "anywire.v1");
    let cursor = step.after;
    let count = 0;
    socket.on("open", () => {
      socket.send(JSON.stringify({ op: "subscribe", id: 1, channels: [step.channel], after: step.after }));
    });
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      if (socket.readyState !== WebSocket.OPEN) return;
      if (frame.op === "error") reject(new Error(`${frame.code}: ${frame.message}`));
      if (frame.op === "subscribed" || frame.op === "heartbeat") cursor = frame.cursor;
      if (frame.op === "gap") step.gap(frame);
      if (frame.op !== "event") return;
      const { op: _op, ...event } = frame;
      cursor = `${epochOf(cursor)}-${event.offset}`;
      count += 1;
      if (!step.take(event, cursor) || count >= step.enough) socket.terminate();
    });
    socket.on("error", () => socket.terminate());
    socket.on("close", () => resolve(cursor));
  });

/** What one reader saw, in order. */
export interface Record {
  readonly events: Event[];
  readonly gaps: Gap[];
  /** Names of the wires it used. */
  readonly wires: Set<string>;
}

/** Follows a channel from its beginning until `isLast`, over a wire chosen anew each time. */
export async function hop(
  url: string,
  channel: string,
  wires: Readonly<{ [name: string]: Wire }>,
  random: Random,
  isLast: (event: Event) => boolean,
): Promise<Record> {
  const record: Record = { events: [], gaps: [], wires: new Set() };
  const names = Object.keys(wires) as [string, ...string[]];
  let after = "0";
  let done = false;
  while (!done) {
    const name = random.pick(names);
    const wire = wires[name];
    if (!wire) throw new Error(`no wire ${name}`);
    record.wires.add(name);
    const take = (event: Event) => {
      record.events.push(event);
      done = isLast(event);
      return !done;
    };
    const gap = (lost: Gap) => record.gaps.push(lost);
    after = await wire({ url, channel, after, enough: random.between(3, 40), take, gap });
  }
  return record;
}
