/**
 * What this page's requests and its live connection move over the wire, counted where it passes: at `fetch`
 * and at the WebSocket.
 *
 * Counted is what comes in: status line and headers of an answer (a page may read all of them from its own
 * origin), its body, and frames of a WebSocket with their heads (RFC 6455, section 5.2). What a browser adds
 * to a request is hidden from pages; requests are counted by number.
 */

export interface Counted {
  requests: number;
  bytes: number;
  frames: number;
}

const WINDOW_MS = 60_000;
/** Statuses whose answers have no body (Fetch, section 2.2.3). */
const NO_BODY = [101, 103, 204, 205, 304];

interface Mark {
  at: number;
  requests: number;
  bytes: number;
}

/** The traffic of one kind over the last minute, and in all. */
export class TrafficMeter {
  readonly #marks: Mark[] = [];
  readonly #now: () => number;
  readonly total: Counted = { requests: 0, bytes: 0, frames: 0 };
  #since: number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#since = now();
  }

  request(): void {
    this.total.requests += 1;
    this.#marks.push({ at: this.#now(), requests: 1, bytes: 0 });
  }

  received(bytes: number): void {
    this.total.bytes += bytes;
    this.#marks.push({ at: this.#now(), requests: 0, bytes });
  }

  frame(bytes: number): void {
    this.total.frames += 1;
    this.received(bytes);
  }

  /** Begins anew, as after a change of what is measured. */
  restart(): void {
    this.#marks.length = 0;
    this.#since = this.#now();
  }

  /** How long was measured, at most the window. */
  get measuredMs(): number {
    return Math.min(WINDOW_MS, this.#now() - this.#since);
  }

  /**
   * A minute's worth: what came in the window, brought to a minute while it is shorter. Null in the first
   * seconds: too little to tell.
   */
  perMinute(): { requests: number; bytes: number } | null {
    const now = this.#now();
    while (this.#marks.length > 0 && now - (this.#marks[0]?.at ?? now) > WINDOW_MS) this.#marks.shift();
    const measured = this.measuredMs;
    if (measured < 5000) return null;
    const factor = WINDOW_MS / measured;
    const sum = this.#marks.reduce(
      (all, mark) => ({ requests: all.requests + mark.requests, bytes: all.bytes + mark.bytes }),
      {
        requests: 0,
        bytes: 0,
      },
    );
    return { requests: sum.requests * factor, bytes: sum.bytes * factor };
  }
}

const encoder = new TextEncoder();

/** The size of a text frame from a server: head and payload. */
export function frameBytes(text: string): number {
  const payload = encoder.encode(text).length;
  return payload + (payload > 65_535 ? 10 : payload > 125 ? 4 : 2);
}

/** The size of an answer's head on an HTTP/1.1 connection. */
export function headBytes(status: number, statusText: string, headers: Iterable<[string, string]>): number {
  let bytes = "HTTP/1.1 ".length + String(status).length + 1 + statusText.length + 2 + 2;
  for (const [name, value] of headers) bytes += name.length + 2 + value.length + 2;
  return bytes;
}

/** `fetch` whose answers are counted as they are read. */
export function countingFetch(
  meter: () => TrafficMeter,
  inner: typeof fetch = (...all) => fetch(...all),
): typeof fetch {
  return async (input, init) => {
    meter().request();
    const response = await inner(input, init);
    meter().received(headBytes(response.status, response.statusText, response.headers));
    // Some browsers give an answer without a body an empty one, of which none may be made anew.
    if (!response.body || NO_BODY.includes(response.status)) return response;
    const counted = response.body.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          meter().received(chunk.length);
          controller.enqueue(chunk);
        },
      }),
    );
    const { status, statusText, headers } = response;
    return new Response(counted, { status, statusText, headers });
  };
}

/** A WebSocket whose frames are counted; its handshake counts as a request. */
export function countingWebSocket(meter: () => TrafficMeter): typeof WebSocket | undefined {
  if (typeof WebSocket === "undefined") return undefined;
  return class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      meter().request();
      this.addEventListener("message", (event: MessageEvent) => {
        if (typeof event.data === "string") meter().frame(frameBytes(event.data));
      });
    }
  };
}

/** The live connection of this page. */
export const liveTraffic = new TrafficMeter();
