/**
 * Channel: one subscription of the application, with its own place in the log and its own handlers.
 */
import { formatPosition, type Position } from "./cursor.js";
import type { Environment } from "./environment.js";
import type { AnywireError } from "./errors.js";
import type { AnywireEvent, Gap } from "./protocol.js";
import type { Reader } from "./readers.js";

/** Event names of a channel and the type of their data. */
export type EventMap = object;
export type EventName<Events extends EventMap> = keyof Events & string;

export type EventHandler<Events extends EventMap, Name extends EventName<Events>> = (
  data: Events[Name],
  event: AnywireEvent<Name, Events[Name]>,
) => void;

type AnyHandler = (data: never, event: never) => void;

export class Channel<Events extends EventMap> implements Reader {
  readonly name: string;
  /** @internal */
  readonly presence: boolean;
  /** @internal */
  position: Position;
  /** @internal */
  version = 0;
  readonly #environment: Environment;
  readonly #onClose: () => void;
  readonly #handlers = new Map<string, Set<AnyHandler>>();
  readonly #gapHandlers = new Set<(gap: Gap) => void>();
  readonly #errorHandlers = new Set<(error: AnywireError) => void>();
  #isClosed = false;

  /** @internal Made by `connection.channel()`. */
  constructor(
    name: string,
    position: Position,
    presence: boolean,
    environment: Environment,
    onClose: () => void,
  ) {
    this.name = name;
    this.position = position;
    this.presence = presence;
    this.#environment = environment;
    this.#onClose = onClose;
  }

  /** Calls back for each event of this name; `"*"` means every name. */
  on(event: "*", handler: EventHandler<Events, EventName<Events>>): this;
  on<Name extends EventName<Events>>(event: Name, handler: EventHandler<Events, Name>): this;
  on(event: string, handler: AnyHandler): this {
    this.#handlers.set(event, new Set([...(this.#handlers.get(event) ?? []), handler]));
    return this;
  }

  off(event: "*", handler: EventHandler<Events, EventName<Events>>): this;
  off<Name extends EventName<Events>>(event: Name, handler: EventHandler<Events, Name>): this;
  off(event: string, handler: AnyHandler): this {
    this.#handlers.get(event)?.delete(handler);
    return this;
  }

  /** Events are gone that this subscription needed: load the state afresh. Delivery goes on by itself. */
  onGap(handler: (gap: Gap) => void): this {
    this.#gapHandlers.add(handler);
    return this;
  }

  /**
   * The server refuses this channel (`forbidden`, `too_many_channels`, …). The subscription is closed then.
   */
  onError(handler: (error: AnywireError) => void): this {
    this.#errorHandlers.add(handler);
    return this;
  }

  /** Where it stands: give it as `after` to go on from here. Null until that is known. */
  get cursor(): string | null {
    return formatPosition(this.position) ?? null;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends the subscription. No handler is called after that. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
  }

  /** @internal */
  takeEvent(event: AnywireEvent): void {
    this.#call(this.#handlers.get(event.event), (handler) => handler(event.data as never, event as never));
    if (event.event !== "*")
      this.#call(this.#handlers.get("*"), (handler) => handler(event.data as never, event as never));
  }

  /** @internal */
  takeGap(gap: Gap): void {
    this.#call(this.#gapHandlers, (handler) => handler(gap));
  }

  /** @internal */
  takeRefusal(error: AnywireError): void {
    this.#call(this.#errorHandlers, (handler) => handler(error));
    this.close();
  }

  /**
   * A handler that throws is the application's bug: it must be seen, and must not stop delivery to the
   * others.
   */
  #call<Handler>(handlers: Iterable<Handler> | undefined, call: (handler: Handler) => void): void {
    for (const handler of [...(handlers ?? [])]) {
      if (this.#isClosed) return;
      try {
        call(handler);
      } catch (error) {
        this.#environment.setTimeout(() => {
          throw error;
        }, 0);
      }
    }
  }
}
