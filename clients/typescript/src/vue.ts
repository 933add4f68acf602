/**
 * Vue: subscriptions that live as long as the component (or any effect scope) that makes them.
 */
import {
  type MaybeRefOrGetter,
  onScopeDispose,
  readonly,
  type ShallowRef,
  shallowRef,
  toValue,
  watch,
} from "vue";
import type { ChannelMap, ChannelName, Connection, EventsOf } from "./connection.js";
import type { AnywireError } from "./errors.js";
import type { AnywireEvent } from "./protocol.js";
import type { Status } from "./status.js";
import { type SubscribeOptions, subscribe } from "./subscribe.js";

export type { SubscribeOptions } from "./subscribe.js";

export interface UseChannel {
  /** The newest event. */
  readonly last: Readonly<ShallowRef<AnywireEvent | null>>;
  /** Why the server refuses the channel. */
  readonly error: Readonly<ShallowRef<AnywireError | null>>;
  close(): void;
}

/** Follows a channel; its name may be a ref or getter, and null follows none. */
export function useChannel<Channels extends ChannelMap, Name extends ChannelName<Channels>>(
  connection: Connection<Channels>,
  name: MaybeRefOrGetter<Name | null>,
  options: SubscribeOptions<EventsOf<Channels, Name>> = {},
): UseChannel {
  const last = shallowRef<AnywireEvent | null>(null);
  const error = shallowRef<AnywireError | null>(null);
  const onError = (refusal: AnywireError) => {
    error.value = refusal;
    options.onError?.(refusal);
  };
  let close = () => {};
  const stop = watch(
    () => toValue(name),
    (wanted) => {
      close();
      close = () => {};
      last.value = null;
      error.value = null;
      if (wanted === null) return;
      const seen = (event: AnywireEvent) => {
        last.value = event;
      };
      const channel = subscribe(connection, wanted, () => ({ ...options, onError }), seen);
      close = () => channel.close();
    },
    { immediate: true, flush: "sync" },
  );
  const end = () => {
    stop();
    close();
  };
  onScopeDispose(end);
  return { last, error, close: end };
}

/** The connection's status, for a badge. */
export function useStatus<Channels extends ChannelMap>(
  connection: Connection<Channels>,
): Readonly<ShallowRef<Status>> {
  const status = shallowRef(connection.status());
  onScopeDispose(
    connection.onStatus((next) => {
      status.value = next;
    }),
  );
  return readonly(status) as Readonly<ShallowRef<Status>>;
}
