/**
 * React: subscriptions that live as long as the component that makes them.
 */
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { ChannelMap, ChannelName, Connection, EventsOf } from "./connection.js";
import type { AnywireError } from "./errors.js";
import type { AnywireEvent } from "./protocol.js";
import type { Status } from "./status.js";
import { type SubscribeOptions, subscribe } from "./subscribe.js";

export type { SubscribeOptions } from "./subscribe.js";

export interface UseChannel {
  /** The newest event. */
  readonly last: AnywireEvent | null;
  /** Why the server refuses the channel. */
  readonly error: AnywireError | null;
}

const nothing: UseChannel = { last: null, error: null };

/**
 * Follows a channel; null follows none. Handlers may be new functions on every render: the newest are called,
 * and that alone does not subscribe again.
 */
export function useChannel<Channels extends ChannelMap, Name extends ChannelName<Channels>>(
  connection: Connection<Channels>,
  name: Name | null,
  options: SubscribeOptions<EventsOf<Channels, Name>> = {},
): UseChannel {
  const newest = useRef(options);
  newest.current = options;
  const [state, setState] = useState(nothing);
  useEffect(() => {
    setState(nothing);
    if (name === null) return;
    const onError = (error: AnywireError) => {
      setState((before) => ({ ...before, error }));
      newest.current.onError?.(error);
    };
    const seen = (last: AnywireEvent) => setState((before) => ({ ...before, last }));
    const channel = subscribe(connection, name, () => ({ ...newest.current, onError }), seen);
    return () => channel.close();
  }, [connection, name]);
  return state;
}

/** The connection's status, for a badge. */
export function useStatus<Channels extends ChannelMap>(connection: Connection<Channels>): Status {
  const current = () => connection.status();
  return useSyncExternalStore((changed) => connection.onStatus(changed), current, current);
}
