/** Splits an event stream (WHATWG HTML, 9.2.6) into its blocks, however its bytes arrive. */

/**
 * The fields of one block, as they came; a comment is the field `comment`.
 *
 * @typedef {{ id?: string, event?: string, data?: string, retry?: string, comment?: string, [field: string]:
 * string }} Block
 */

export class SseSplitter {
  #rest = "";
  #decoder = new TextDecoder();
  /** @type {(block: Block) => void} */
  #onBlock;

  /** @param {(block: Block) => void} onBlock */
  constructor(onBlock) {
    this.#onBlock = onBlock;
  }

  /** @param {Uint8Array} bytes */
  push(bytes) {
    const parts = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#onBlock(parseBlock(part));
  }

  /** What came of a block that has not ended. */
  get rest() {
    return this.#rest;
  }
}

/**
 * A field that comes twice has its lines joined.
 *
 * @param {string} text
 * @returns {Block}
 */
function parseBlock(text) {
  /** @type {Block} */
  const block = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    const field = (colon < 0 ? line : line.slice(0, colon)) || "comment";
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    block[field] = field in block ? `${block[field]}\n${value}` : value;
  }
  return block;
}
