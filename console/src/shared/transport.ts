/** How transports and states look: an icon, a colour token and a word, never the colour alone. */
import type { IconName } from "./icons";
import type { LiveState } from "./live";

const ICON_OF: Record<string, IconName> = {
  websocket: "websocket",
  sse: "sse",
  longpoll: "longpoll",
  poll: "poll",
};

const COLOUR_OF: Record<string, string> = {
  websocket: "var(--ws)",
  sse: "var(--sse)",
  longpoll: "var(--longpoll)",
  poll: "var(--poll)",
};

export function transportIcon(transport: string | null): IconName {
  return (transport && ICON_OF[transport]) || "down";
}

export function transportColour(transport: string | null): string {
  return (transport && COLOUR_OF[transport]) || "var(--down)";
}

export type Tone = "ok" | "warn" | "bad" | "calm";

export function toneOfState(state: LiveState): Tone {
  if (state === "live") return "ok";
  if (state === "idle" || state === "paused") return "calm";
  return state === "connecting" || state === "reconnecting" ? "warn" : "bad";
}
