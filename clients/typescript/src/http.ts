/**
 * HTTP: one request with token, time limit and errors by code; used by every transport but WebSocket, and for
 * publishing.
 */
import { Alarm } from "./alarm.js";
import type { Environment, ResponseLike } from "./environment.js";
import { AnywireError, asError } from "./errors.js";
import { type Fields, parseFields, positive, text } from "./protocol.js";
import type { Token } from "./token.js";

export interface HttpRequest {
  readonly path: "ws" | "sse" | "poll" | "publish" | "presence";
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Until the answer is read; null for as long as it takes. */
  readonly timeoutMs: number | null;
  /** Ends the request, and what comes after its head. */
  readonly abort?: AbortController | undefined;
}

export class Http {
  readonly environment: Environment;
  readonly token: Token;
  readonly #base: string;

  constructor(url: string, environment: Environment, token: Token) {
    this.environment = environment;
    this.token = token;
    this.#base = baseUrl(url);
  }

  url(path: HttpRequest["path"], query: HttpRequest["query"] = {}): string {
    const parameters = Object.entries(query)
      .filter(([, value]) => value !== undefined)
      // A comma separates channels and cannot occur in one, so it may stay as it is: caches see one spelling.
      .map(([name, value]) => `${name}=${encodeURIComponent(String(value)).replaceAll("%2C", ",")}`);
    return `${this.#base}${path}${parameters.length > 0 ? `?${parameters.join("&")}` : ""}`;
  }

  /** The answer if its status is 2xx, as `read` gives it. Every other outcome is an {@link AnywireError}. */
  async request<Read>(
    request: HttpRequest,
    read: (answer: ResponseLike) => Read | Promise<Read>,
  ): Promise<Read> {
    const { environment } = this;
    const token = await this.token.get();
    const { abort = new AbortController(), timeoutMs } = request;
    const alarm = new Alarm(environment);
    if (timeoutMs !== null) alarm.set(timeoutMs, () => abort.abort());
    try {
      const answer = await environment.fetch(this.url(request.path, request.query), {
        method: request.method ?? "GET",
        headers: { ...request.headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
        ...(request.body === undefined ? {} : { body: request.body }),
        signal: abort.signal,
      });
      if (answer.status > 299) throw await refusal(answer); // below 200 none is given
      this.token.accepted();
      // A body may stall behind a head that came at once.
      return await read(answer);
    } catch (cause) {
      throw asError(cause);
    } finally {
      alarm.clear();
    }
  }
}

/** An answer's body, for {@link Http.request}. */
export async function fieldsOf(answer: ResponseLike): Promise<Fields> {
  return parseFields(await answer.text());
}

/** `https://host/prefix/anywire/`, from any spelling of it; relative ones count from the page. */
function baseUrl(given: string): string {
  const { origin, pathname } = new URL(given, (globalThis.location as Location | undefined)?.href);
  return (origin + pathname).replace(/^ws/, "http").replace(/(\/anywire)?\/*$/, "/anywire/");
}

/**
 * An answer without our body comes from something in between: a proxy whose server is away, or that blocks.
 */
async function refusal(answer: ResponseLike): Promise<AnywireError> {
  const body = await fieldsOf(answer).catch((): Fields => ({}));
  const code = text(body.code) || (answer.status >= 500 ? "unreachable" : "bad_answer");
  return new AnywireError(
    code,
    text(body.message) || `HTTP ${answer.status}`,
    retryAfterMs(answer, body.retry_ms),
  );
}

function retryAfterMs(answer: ResponseLike, retryMs: unknown): number | null {
  const seconds = Number(answer.headers.get("Retry-After") ?? Number.NaN);
  return positive(retryMs) ?? (seconds >= 0 ? seconds * 1000 : null);
}
