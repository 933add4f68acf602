/** Splits an SSE body into blocks, however its bytes arrive. */

export interface Block {
  id?: string;
  event?: string;
  data?: string;
  retry?: string;
  comment?: string;
}

export class SseSplitter {
  #rest = "";
  readonly #onBlock: (block: Block) => void;
  readonly #decoder = new TextDecoder();

  constructor(onBlock: (block: Block) => void) {
    this.#onBlock = onBlock;
  }

  push(bytes: Uint8Array): void {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    let end = this.#rest.indexOf("\n\n");
    while (end >= 0) {
      const block = parse(this.#rest.slice(0, end));
      this.#rest = this.#rest.slice(end + 2);
      this.#onBlock(block);
      end = this.#rest.indexOf("\n\n");
    }
  }
}

function parse(text: string): Block {
  const block: Block = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const name = (colon < 0 ? line : line.slice(0, colon)) || "comment";
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (name === "id" || name === "event" || name === "retry" || name === "comment") block[name] = value;
  }
  return block;
}
