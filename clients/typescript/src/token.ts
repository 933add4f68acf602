/**
 * Token: the current one, and where the next one comes from.
 *
 * ```
 * none ─ get ─► held ─ accepted ─► held, proved
 *                 └─ refused ─► none (asked anew) ─ get ─► held ─ refused again ─► no token is to be had
 * ```
 */
import { AnywireError } from "./errors.js";

/** A text, or a function that gives a fresh one each time it is called. Null: there is none. */
export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

export class Token {
  readonly #source: TokenSource | undefined;
  #held: Promise<string | null> | null = null;
  /** Refusals since a token was last accepted. */
  #refusals = 0;

  constructor(source: TokenSource | undefined) {
    this.#source = source;
  }

  /**
   * The token to send, or null if the connection has none. Asks the source once, however many wait for it.
   *
   * Throws `token_unavailable` if a refused token cannot be replaced, `unreachable` if the source failed this
   * time.
   */
  get(): Promise<string | null> {
    this.#held ??= this.#ask().catch((error) => {
      this.#held = null;
      throw error;
    });
    return this.#held;
  }

  /** A token was taken, or somebody asked for a new start: refusals until now count no more. */
  accepted(): void {
    this.#refusals = 0;
  }

  /** The server does not take the token. Throws `token_unavailable` if asking again is pointless. */
  refused(error: AnywireError): void {
    this.#refusals += 1;
    this.#held = null;
    if (typeof this.#source !== "function" || this.#refusals > 1) {
      throw new AnywireError("token_unavailable", error.message);
    }
  }

  async #ask(): Promise<string | null> {
    const source = this.#source;
    if (typeof source !== "function") return source ?? null;
    let token: string | null | undefined;
    try {
      token = await source();
    } catch (cause) {
      throw new AnywireError("unreachable", `token function: ${cause}`);
    }
    if (token) return token;
    if (this.#refusals > 0) throw new AnywireError("token_unavailable", "no new token");
    return null;
  }
}
