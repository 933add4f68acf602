/**
 * SSE parser: bytes in any pieces in, blocks out (WHATWG HTML, "Server-sent events").
 *
 * `retry:` is passed over: when to come back is the link's to decide. Differs from `EventSource` on purpose:
 * a block without `data:` is given too, since its `id:` holds all the same.
 */
export interface SseBlock {
  event: string;
  data: string | null;
  id: string | null;
}

const emptyBlock = (): SseBlock => ({ event: "message", data: null, id: null });

export class SseParser {
  /** Strips the BOM, and holds back the bytes of a character that is cut in two. */
  readonly #decoder = new TextDecoder();
  /** The line that has no end yet. */
  #line = "";
  /** The last piece ended with CR: an LF at the start of the next one belongs to it. */
  #afterCr = false;
  #block = emptyBlock();
  #touched = false;

  /** The blocks that these bytes complete. */
  push(bytes: Uint8Array): SseBlock[] {
    let chunk = this.#decoder.decode(bytes, { stream: true });
    if (chunk === "") return [];
    if (this.#afterCr && chunk.startsWith("\n")) chunk = chunk.slice(1);
    this.#afterCr = chunk === "" ? false : chunk.endsWith("\r");
    const lines = chunk.split(/\r\n|\r|\n/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop() ?? "";
    const blocks: SseBlock[] = [];
    for (const line of lines) this.#take(line, blocks);
    return blocks;
  }

  #take(line: string, blocks: SseBlock[]): void {
    if (line === "") {
      if (this.#touched) blocks.push(this.#block);
      this.#block = emptyBlock();
      this.#touched = false;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    this.#field(name, value);
  }

  #field(name: string, value: string): void {
    const block = this.#block;
    this.#touched = true;
    if (name === "event") block.event = value;
    else if (name === "data") block.data = block.data === null ? value : `${block.data}\n${value}`;
    else if (name === "id" && !value.includes("\0")) block.id = value;
  }
}
