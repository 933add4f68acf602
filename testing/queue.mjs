/** What has arrived and was not looked at yet, in the order it came. */

/** @template T */
export class Queue {
  /** @type {T[]} */
  #items = [];
  /** @type {(() => void) | undefined} */
  #waiting;
  /** @type {string | undefined} */
  #end;

  /** @param {T} item */
  push(item) {
    this.#items.push(item);
    this.#wake();
  }

  /**
   * Nothing more comes; `why` is told to who waits.
   *
   * @param {string} why
   */
  end(why) {
    this.#end ??= why;
    this.#wake();
  }

  get ended() {
    return this.#end;
  }

  /**
   * Waits for the next one. Fails when the source ended or `waitMs` passed.
   *
   * @param {number} waitMs
   * @returns {Promise<T>}
   */
  async next(waitMs) {
    const deadline = Date.now() + waitMs;
    for (;;) {
      const [item] = this.#items.splice(0, 1);
      if (item !== undefined) return item;
      if (this.#end !== undefined) throw new Error(`nothing more comes: ${this.#end}`);
      await this.#wait(deadline, waitMs);
    }
  }

  /**
   * Waits for the end; what arrived before it stays.
   *
   * @param {number} waitMs
   */
  async untilEnd(waitMs) {
    const deadline = Date.now() + waitMs;
    while (this.#end === undefined) await this.#wait(deadline, waitMs);
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

  /**
   * @param {number} deadline
   * @param {number} waitMs
   * @returns {Promise<void>}
   */
  #wait(deadline, waitMs) {
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#waiting = undefined;
        reject(new Error(`nothing came for ${waitMs} ms`));
      };
      const timer = setTimeout(late, Math.max(0, deadline - Date.now()));
      this.#waiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
