/** `socket.io-client` as it is, and what it heard. */
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { Hopeless, until } from "../../testing/until.mjs";

/** The three ways a client may use its transports. */
export const MODES = {
  "polling only": ["polling"],
  "WebSocket only": ["websocket"],
  "polling, then upgraded": ["polling", "websocket"],
} as const;

/**
 * Everybody hears `lobby`; who joins `/chat` hears what is said there, and says it. More may follow about
 * `/chat`.
 */
export const LOBBY_AND_CHAT = `
[[socketio.namespaces]]
name = "/"
channels = ["lobby"]
[[socketio.namespaces]]
name = "/chat"
channels = ["chat"]
emit_to = "chat"
`;

export type Mode = keyof typeof MODES;
export const modes = Object.keys(MODES) as Mode[];

export interface Heard {
  readonly event: string;
  readonly args: readonly unknown[];
}

const open = new Set<Socket>();

/** A client on `namespace` that notes every event. Reconnection is quick: a test waits for it. */
export class Listener {
  readonly socket: Socket;
  readonly heard: Heard[] = [];
  readonly errors: (Error & { data?: unknown })[] = [];
  readonly reasons: string[] = [];

  constructor(
    url: string,
    mode: Mode,
    options: Partial<ManagerOptions & SocketOptions> = {},
    namespace = "/",
  ) {
    this.socket = io(`${url}${namespace === "/" ? "" : namespace}`, {
      forceNew: true,
      transports: [...MODES[mode]],
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
      ...options,
    });
    open.add(this.socket);
    this.socket.onAny((event: string, ...args: unknown[]) => this.heard.push({ event, args }));
    this.socket.on("connect_error", (error) => this.errors.push(error));
    this.socket.on("disconnect", (reason) => this.reasons.push(reason));
  }

  static async connected(
    url: string,
    mode: Mode,
    options: Partial<ManagerOptions & SocketOptions> = {},
    namespace = "/",
  ): Promise<Listener> {
    const listener = new Listener(url, mode, options, namespace);
    await listener.isConnected();
    return listener;
  }

  get transport(): string {
    return this.socket.io.engine.transport.name;
  }

  async isConnected(): Promise<void> {
    await until("the client is connected", () => {
      if (this.errors.length > 0 && !this.socket.active) throw new Hopeless(String(this.errors.at(-1)));
      return this.socket.connected;
    });
  }

  /** What came with an event, the first argument of each. */
  data(event: string): unknown[] {
    return this.heard.filter((one) => one.event === event).map((one) => one.args[0]);
  }

  /** Waits until an event came so many times, and answers what came with it. */
  async count(event: string, count: number): Promise<unknown[]> {
    await until(`${event} came ${count} times`, () => this.data(event).length >= count);
    return this.data(event);
  }

  /** Emits, and answers the acknowledgement. */
  async ask(event: string, ...args: unknown[]): Promise<Answer> {
    return (await this.socket.timeout(60_000).emitWithAck(event, ...args)) as Answer;
  }

  /** Breaks the connection under the client, which knows nothing of it; it reconnects by itself. */
  cut(): void {
    this.socket.io.engine.close();
  }

  /** Breaks the connection, and waits until the client has noticed; it does not reconnect by itself. */
  async stayAway(): Promise<void> {
    this.socket.io.reconnection(false);
    const before = this.reasons.length;
    this.cut();
    await until("the client has noticed", () => this.reasons.length > before);
  }

  /** Lets a client that stayed away reconnect, as the same socket. */
  comeBack(): void {
    this.socket.io.reconnection(true);
    this.socket.connect();
  }

  close(): void {
    open.delete(this.socket);
    this.socket.disconnect();
  }
}

/** What the server acknowledges `subscribe`, `unsubscribe`, `publish` and events with. */
export interface Answer {
  readonly ok: boolean;
  readonly code?: string;
  readonly message?: string;
  readonly channels?: readonly string[];
  readonly cursor?: string;
  readonly offsets?: readonly number[];
}

/** Ends every client that a test left open. */
export function closeAll(): void {
  for (const socket of open) socket.disconnect();
  open.clear();
}
