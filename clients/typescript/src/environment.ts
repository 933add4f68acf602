/**
 * Environment: everything of the outside world that the client touches, behind one interface, so that a test
 * can put a virtual clock and a fake network in its place.
 *
 * The shapes are the smallest parts of the platform's own that are needed; the platform's objects fit as they
 * are.
 */

export interface SocketLike {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/**
 * Gives a {@link SocketLike}. Not said in the type, because overloads keep the class of `ws` from fitting it.
 */
export type SocketConstructor = new (url: string, protocols: string[]) => object;

export interface BodyReader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

export interface ResponseLike {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): BodyReader } | null;
  text(): Promise<string>;
}

export interface RequestLike {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal: AbortSignal;
}

/** What tells the client about the page and its network. */
export type LifecycleEvent = "online" | "offline" | "visible" | "freeze" | "resume";

/** The part of `navigator.locks` that is used. */
export interface LocksLike {
  request(
    name: string,
    options: { signal?: AbortSignal; steal?: boolean },
    held: () => Promise<void>,
  ): Promise<unknown>;
}

export interface BroadcastLike {
  onmessage: ((event: { data: unknown }) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

export interface Environment {
  /** Milliseconds since 1970; must go on during sleep, so that a wake-up shows as a jump. */
  now(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
  /** 0 <= x < 1, for jitter. */
  random(): number;
  /** A text nobody else has: idempotency keys, client names. */
  randomId(): string;
  fetch(url: string, request: RequestLike): Promise<ResponseLike>;
  /** Absent where there is none (Node 20): the ladder then begins at SSE. */
  readonly WebSocket?: SocketConstructor | undefined;
  /** False only if the platform is sure that there is no network. */
  online(): boolean;
  /** Calls back on page and network events; the answer stops it. */
  onLifecycle(listener: (event: LifecycleEvent) => void): () => void;
  /** Only `anywire/shared` uses these two, and takes the platform's own if they are absent. */
  readonly locks?: LocksLike | undefined;
  readonly broadcast?: ((name: string) => BroadcastLike) | undefined;
}

function randomId(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

const PAGE_EVENTS = ["online", "offline", "freeze", "resume", "pageshow", "pagehide", "visibilitychange"];

/** All at the window: what is fired at the document passes there on its way down. */
function onLifecycle(listener: (event: LifecycleEvent) => void): () => void {
  const page = globalThis as unknown as Partial<Window>;
  const handle = (event: Event) => {
    const { type } = event;
    if (type === "visibilitychange") {
      if (page.document?.visibilityState === "visible") listener("visible");
    } else if (type.startsWith("page")) {
      // Into the back/forward cache, or out of it; anything else is the end of the page.
      if ((event as PageTransitionEvent).persisted) listener(type === "pageshow" ? "resume" : "freeze");
    } else listener(type as LifecycleEvent);
  };
  for (const type of PAGE_EVENTS) page.addEventListener?.(type, handle, true);
  return () => {
    for (const type of PAGE_EVENTS) page.removeEventListener?.(type, handle, true);
  };
}

/** The platform's own environment, with single parts replaced: `platform({ WebSocket: ws })` in Node 20. */
export function platform(replaced: Partial<Environment> = {}): Environment {
  const { navigator, WebSocket } = globalThis as Partial<typeof globalThis>;
  return {
    now: () => Date.now(),
    setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
    clearTimeout: (timer) => clearTimeout(timer as number),
    random: () => Math.random(),
    randomId,
    fetch: (url, request) => fetch(url, request),
    WebSocket: WebSocket as SocketConstructor | undefined,
    online: () => navigator?.onLine !== false,
    onLifecycle,
    ...replaced,
  };
}
