/**
 * The interface of a live connection for the console. The only file that imports the `anywire` client.
 */
import { connect, type State, type Status, type TransportName } from "anywire";
import { shortId } from "./ids";
import { countingFetch, countingWebSocket, liveTraffic } from "./traffic";
import type { Transport } from "./wire";

export interface LiveEvent {
  channel: string;
  event: string;
  offset: number;
  time: string;
  data: unknown;
  /** "I have seen everything up to this event." */
  cursor: string;
}

export type LiveState = State;

export interface LiveStatus {
  /** What delivers, or is tried. */
  transport: Transport | null;
  state: LiveState;
  lastEventAt: number | null;
  latencyMs: number | null;
  reconnects: number;
  gaps: number;
  retryAt: number | null;
  /** The last failure in the client's words; null once it is live. */
  problem: string | null;
}

export interface Follow {
  channel: string;
  /** Begin after this cursor; at the tail without it. */
  after?: string;
  onEvent: (event: LiveEvent) => void;
  /** Events were lost for good: load the state afresh. */
  onGap?: () => void;
}

export interface Live {
  follow(options: Follow): () => void;
  onStatus(listener: (status: LiveStatus) => void): () => void;
  reconnect(): void;
  readonly status: LiveStatus;
  /** The name of this page among `/api/delivery/clients`. */
  readonly clientName: string;
}

const NAMES: Record<TransportName, Transport> = {
  websocket: "websocket",
  sse: "sse",
  "long-poll": "longpoll",
  poll: "poll",
};

/** A person watches this page: it climbs back sooner than the client's default. */
const PROBE_MS = [5000, 10_000, 20_000, 30_000];

/** What a browser is told to use instead, for whoever is in a hurry. */
function probeMs(): readonly number[] {
  const own = Number(localStorage.getItem("anywire-probe-ms"));
  return own > 0 ? [own] : PROBE_MS;
}

export function statusOf(status: Status): LiveStatus {
  return {
    transport: status.transport === null ? null : NAMES[status.transport],
    state: status.state,
    lastEventAt: status.lastEventAt,
    latencyMs: status.latency,
    reconnects: status.reconnects,
    gaps: status.gaps,
    retryAt: status.retryAt,
    problem: status.error?.message ?? null,
  };
}

export function connectLive(): Live {
  const clientName = `console-${shortId(6)}`;
  const meter = () => liveTraffic;
  const connection = connect(location.origin, {
    client: clientName,
    policy: { probeMs: probeMs() },
    environment: { fetch: countingFetch(meter), WebSocket: countingWebSocket(meter) },
  });
  return {
    clientName,
    get status() {
      return statusOf(connection.status());
    },
    onStatus: (listener) => connection.onStatus((status) => listener(statusOf(status))),
    reconnect: () => connection.reconnect(),
    follow({ channel, after, onEvent, onGap }) {
      const followed = connection.channel(channel, { after }).on("*", (_data, event) => onEvent(event));
      if (onGap) followed.onGap(onGap);
      return () => followed.close();
    },
  };
}
