/**
 * What the console needs of a live connection, in its own words; `connectLive` is the only place that knows the `anywire` client.
 */
import type { Transport } from "./types";

export interface LiveEvent {
  channel: string;
  event: string;
  offset: number;
  time: string;
  data: unknown;
}

/** `live` delivers; `connecting` and `reconnecting` are on the way; `offline` waits for a network; `closed` was told to stop. */
export type LiveState = "connecting" | "live" | "reconnecting" | "offline" | "closed";

export interface LiveStatus {
  transport: Transport | null;
  state: LiveState;
  lastEventAt: number | null;
  latencyMs: number | null;
  reconnects: number;
  gaps: number;
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
  readonly status: LiveStatus;
  /** The name of this page among `/api/delivery/clients`. */
  readonly clientName: string;
}

// Stand-in over EventSource until the client is there.
export function connectLive(): Live {
  const listeners = new Set<(status: LiveStatus) => void>();
  let status: LiveStatus = { transport: "sse", state: "connecting", lastEventAt: null, latencyMs: null, reconnects: 0, gaps: 0 };
  const set = (change: Partial<LiveStatus>) => {
    status = { ...status, ...change };
    for (const listener of listeners) listener(status);
  };
  return {
    clientName: "console-stand-in",
    get status() {
      return status;
    },
    onStatus(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    follow({ channel, after, onEvent }) {
      const query = new URLSearchParams({ channels: channel, client: "console-stand-in", ...(after ? { after } : {}) });
      const source = new EventSource(`/anywire/sse?${query}`);
      source.onopen = () => set({ state: "live" });
      source.onerror = () => set({ state: "reconnecting", reconnects: status.reconnects + 1 });
      source.onmessage = (message) => {
        const event = JSON.parse(message.data) as LiveEvent;
        set({ lastEventAt: Date.now(), latencyMs: Date.now() - Date.parse(event.time) });
        onEvent(event);
      };
      return () => source.close();
    },
  };
}
