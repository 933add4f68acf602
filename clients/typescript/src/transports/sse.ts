/**
 * SSE over a streaming fetch (PROTOCOL.md section 7), so that a token can go in a header and the client
 * decides itself when and where to go on.
 *
 * The server's first block holds nothing but a cursor. If it does not come within seconds, something in
 * between collects the stream instead of passing it on. The request does not ask for `text/event-stream` by
 * name: who does is told of a refusal by an event, and this client reads the status.
 */
import { formatPosition, parseCursor } from "../cursor.js";
import { AnywireError } from "../errors.js";
import { parseFields, readEvent, readGap } from "../protocol.js";
import { channelsOf, type Group, type Reader } from "../readers.js";
import { type SseBlock, SseParser } from "../sse-parser.js";
import { seed, single } from "./poll.js";
import { Transport } from "./transport.js";

export class SseTransport extends Transport {
  override readonly name = "sse";
  #abort = new AbortController();
  /** The epoch of the last `id:`. */
  #epoch = "";
  /** What `readers.version` was when the stream was asked for. */
  #version = 0;
  #channels: string[] = [];

  override open(): void {
    void this.#run();
  }

  override update(): void {
    const { readers } = this.host;
    const { channels } = readers;
    const isSame = channels.join() === this.#channels.join();
    // A request that is still seeding reads the readers afterwards, but its stream may have been asked for
    // already.
    if (!isSame || channels.some((name) => readers.outgrew(name, this.#version))) this.check();
  }

  /** The stream is asked for anew from the same place; a stream that had died shows by that. */
  override check(): void {
    this.#abort.abort();
    void this.#run();
  }

  protected override teardown(): void {
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const { host } = this;
    this.watch(host.policy.openTimeoutMs);
    let isAnswered = false;
    try {
      this.#version = host.readers.version;
      this.#channels = host.readers.channels;
      const readers = host.readers.all();
      await seed(host, readers, abort);
      if (abort.signal.aborted) return;
      this.touch();
      const startedAt = this.environment.now();
      const body = await this.#request(single(readers), abort);
      isAnswered = true;
      host.report({ latency: this.environment.now() - startedAt });
      await this.#read(body.getReader(), abort.signal);
      if (!abort.signal.aborted) throw new AnywireError("unreachable", "ended");
    } catch (error) {
      if (!abort.signal.aborted) this.failFor(error, isAnswered ? "early" : "refused");
    }
  }

  async #request({ readers, after }: Group, abort: AbortController) {
    const { host } = this;
    const request = {
      path: "sse",
      query: {
        channels: channelsOf(readers).join(","),
        after: formatPosition(after),
        client: host.client,
        presence: readers.some((reader) => reader.presence) ? 1 : undefined,
      },
      timeoutMs: null,
      abort,
    } as const;
    return host.http.request(request, ({ headers, body }) => {
      const isStream = (headers.get("Content-Type") ?? "").startsWith("text/event-stream");
      if (!body || !isStream) throw new AnywireError("bad_answer", "no stream");
      return body;
    });
  }

  async #read(
    reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> },
    signal: AbortSignal,
  ) {
    const parser = new SseParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      this.touch();
      for (const block of parser.push(value ?? new Uint8Array())) {
        this.#take(block);
        // A handler may have closed the connection, or changed the channels: the rest belongs to a stream
        // that is over.
        if (signal.aborted) return;
      }
    }
  }

  #take(block: SseBlock): void {
    const { host } = this;
    const served = (): Reader[] => host.readers.all(this.#channels, this.#version);
    const fields = parseFields(block.data);
    const cursor = parseCursor(block.id);
    if (cursor) this.#epoch = cursor.epoch;
    if (block.event === "goodbye") {
      this.goodbye(fields);
      return;
    }
    const gap = block.event === "gap" ? readGap(fields) : null;
    const event = block.event === "message" ? readEvent(fields) : null;
    if (gap) this.takeGap(gap, served());
    if (event) this.takeEvent(this.#epoch, event, served());
    if (!cursor) return;
    // The stream is in the log's order on all its channels, so every id holds for all of them.
    this.takeCursor(cursor, served());
    this.watch(2 * host.heartbeatMs);
    this.setOpened();
  }
}
