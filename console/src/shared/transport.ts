/** How transports and states look: an icon, a colour token and a word, never the colour alone. */
import type { IconName } from "./icons";
import type { LiveState } from "./live";

const ICON_OF: Record<string, IconName> = {
  websocket: "websocket",
  sse: "sse",
  longpoll: "longpoll",
  poll: "poll",
  socketio: "socketio",
};

const COLOUR_OF: Record<string, string> = {
  websocket: "var(--ws)",
  sse: "var(--sse)",
  longpoll: "var(--longpoll)",
  poll: "var(--poll)",
  socketio: "var(--sio)",
};

export function transportIcon(transport: string | null): IconName {
  return (transport && ICON_OF[transport]) || "down";
}

export function transportColour(transport: string | null): string {
  return (transport && COLOUR_OF[transport]) || "var(--down)";
}

export type Tone = "ok" | "warn" | "bad" | "calm";

/** `$overview` speaks every second; a connection without a word for this long is not what it says. */
export const QUIET_MS = 10_000;

/** What the badge says of a state: a live connection that has been silent is `quiet`. */
export function shownState(state: LiveState, ageMs: number | null): LiveState | "quiet" {
  return state === "live" && ageMs !== null && ageMs > QUIET_MS ? "quiet" : state;
}

export function toneOfState(state: LiveState | "quiet"): Tone {
  if (state === "live") return "ok";
  if (state === "idle" || state === "paused") return "calm";
  return state === "connecting" || state === "reconnecting" || state === "quiet" ? "warn" : "bad";
}
