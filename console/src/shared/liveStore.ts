/**
 * The one live connection of this page: its status for the badge, its changes for the activity list, channels
 * for everybody.
 *
 * Invariants: there is one connection, opened on first use; a follower is released by the function it got.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { useSession } from "@/access/sessionStore";
import { useNow } from "./clock";
import { connectLive, type Follow, type Live, type LiveState, type LiveStatus } from "./live";
import type { Transport } from "./wire";

export interface StatusChange {
  id: number;
  at: number;
  transport: Transport | null;
  state: LiveState;
}

const CHANGES_MAX = 50;

export const useLive = defineStore("live", () => {
  const now = useNow();
  let connection: Live | null = null;
  const status = shallowRef<LiveStatus>({
    transport: null,
    state: "connecting",
    lastEventAt: null,
    latencyMs: null,
    reconnects: 0,
    gaps: 0,
    retryAt: null,
    problem: null,
  });
  const changes = ref<StatusChange[]>([]);
  const clientName = ref("");
  /** Whether it was live since it last failed. */
  let wasLive = false;

  function open(): Live {
    if (connection) return connection;
    connection = connectLive();
    clientName.value = connection.clientName;
    connection.onStatus(note);
    note(connection.status);
    return connection;
  }

  function note(next: LiveStatus): void {
    const last = changes.value[0];
    const idle = next.state === "idle" && last === undefined;
    if (idle) return;
    if (!last || last.transport !== next.transport || last.state !== next.state) {
      changes.value.unshift({ id: (last?.id ?? 0) + 1, at: Date.now(), transport: next.transport, state: next.state });
      changes.value.length = Math.min(changes.value.length, CHANGES_MAX);
    }
    status.value = next;
    if (next.state === "live") wasLive = true;
    if (next.state === "failed" && last?.state !== "failed") void ended();
  }

  /**
   * The server has ended the connection for good: the session is over, or has other rights by now. With those
   * it begins anew, unless it was refused before it was live: that would be refused again.
   */
  async function ended(): Promise<void> {
    const again = wasLive;
    wasLive = false;
    if ((await useSession().check()) && again) reconnect();
  }

  function follow(options: Follow): () => void {
    return open().follow(options);
  }

  const ageMs = computed(() => {
    const at = status.value.lastEventAt;
    return at === null ? null : Math.max(0, now.value - at);
  });

  function reconnect(): void {
    open().reconnect();
  }

  return { status, changes, clientName, ageMs, follow, open, reconnect };
});
