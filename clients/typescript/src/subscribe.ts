/**
 * Subscribes with all handlers in one object, which may be another one each time. The framework adapters
 * share it.
 */
import type { Channel, EventHandler, EventMap, EventName } from "./channel.js";
import type { ChannelMap, ChannelName, ChannelOptions, Connection, EventsOf } from "./connection.js";
import type { AnywireError } from "./errors.js";
import type { AnywireEvent, Gap } from "./protocol.js";

export interface SubscribeOptions<Events extends EventMap> extends ChannelOptions {
  /** Handlers by event name; `"*"` is called for every event. */
  readonly on?: { readonly [Name in EventName<Events>]?: EventHandler<Events, Name> } & {
    readonly "*"?: EventHandler<Events, EventName<Events>>;
  };
  readonly onGap?: (gap: Gap) => void;
  readonly onError?: (error: AnywireError) => void;
}

type AnyHandler = (data: unknown, event: AnywireEvent) => void;

/** Subscribes; the handlers are looked up at each call. */
export function subscribe<Channels extends ChannelMap, Name extends ChannelName<Channels>>(
  connection: Connection<Channels>,
  name: Name,
  options: () => SubscribeOptions<EventsOf<Channels, Name>>,
  seen: (event: AnywireEvent) => void,
): Channel<EventsOf<Channels, Name>> {
  const { after, presence } = options();
  const channel = connection.channel(name, { after, ...(presence === undefined ? {} : { presence }) });
  const handle: AnyHandler = (data, event) => {
    const handlers = (options().on ?? {}) as Readonly<Record<string, AnyHandler | undefined>>;
    handlers[event.event]?.(data, event);
    if (event.event !== "*") handlers["*"]?.(data, event);
    seen(event);
  };
  return channel
    .on("*", handle as EventHandler<EventsOf<Channels, Name>, EventName<EventsOf<Channels, Name>>>)
    .onGap((gap) => options().onGap?.(gap))
    .onError((error) => options().onError?.(error));
}
