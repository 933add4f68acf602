/**
 * Anywire: live updates over any wire. See README.md; the protocol is PROTOCOL.md in the repository's root.
 */
import { type ChannelMap, Connection, type ConnectOptions, type UntypedChannels } from "./connection.js";
import { LadderLink } from "./ladder-link.js";

/**
 * Opens a connection as soon as a channel is followed.
 *
 * ```ts
 * const connection = connect("https://example.org");
 * connection.channel("progress_42").on("progress_update", (data) => show(data));
 * ```
 */
export function connect<Channels extends ChannelMap = UntypedChannels>(
  url: string,
  options: ConnectOptions = {},
): Connection<Channels> {
  return new Connection<Channels>(url, options, (host) => new LadderLink(host));
}

export type { Channel, EventHandler, EventMap, EventName } from "./channel.js";
export type {
  ChannelMap,
  ChannelName,
  ChannelOptions,
  Connection,
  ConnectOptions,
  UntypedChannels,
} from "./connection.js";
export type { Environment, LifecycleEvent } from "./environment.js";
export { platform } from "./environment.js";
export { AnywireError, type ClientErrorCode, type ErrorCode, type ServerErrorCode } from "./errors.js";
export { defaultPolicy, fiveTriesThenPoll, type Policy, type TransportName } from "./policy.js";
export type { AnywireEvent, Gap, GapReason, Member, Presence, Publication, Receipt } from "./protocol.js";
export type { PublishOptions } from "./publisher.js";
export type { State, Status } from "./status.js";
export type { TokenSource } from "./token.js";
