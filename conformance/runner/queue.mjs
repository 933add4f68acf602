/**
 * What has arrived and was not looked at yet.
 *
 * Knows: order, waiting. Does not know: what arrives.
 */

/** Items in the order they came; `next` waits for one, and fails when the source ended or `waitMs` passed. */
export class Queue {
  #items = [];
  #waiting = undefined;
  #end = undefined;

  push(item) {
    this.#items.push(item);
    this.#wake();
  }

  /** Nothing more comes; `why` is told to who waits. */
  end(why) {
    this.#end ??= why;
    this.#wake();
  }

  get ended() {
    return this.#end;
  }

  async next(waitMs) {
    const deadline = Date.now() + waitMs;
    while (this.#items.length === 0) {
      if (this.#end !== undefined) {
        throw new Error(`nothing more comes: ${this.#end}`);
      }
      await this.#wait(deadline, waitMs);
    }
    return this.#items.shift();
  }

  /** Waits for the end; what arrived before it stays. */
  async untilEnd(waitMs) {
    const deadline = Date.now() + waitMs;
    while (this.#end === undefined) {
      await this.#wait(deadline, waitMs);
    }
    return this.#end;
  }

  /** Everything that is there. */
  drain() {
    return this.#items.splice(0);
  }

  #wake() {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  #wait(deadline, waitMs) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = undefined;
        reject(new Error(`nothing came for ${waitMs} ms`));
      }, Math.max(0, deadline - Date.now()));
      this.#waiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
