/**
 * The network lab's switches, as the server has them.
 *
 * Invariant: what is shown is what the server said last; a wish is shown only while its request is under way.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { ApiError, api } from "@/shared/api";
import { serverSkew, useNow } from "@/shared/clock";
import type { LabState } from "@/shared/wire";

export const CUT_MS = 10_000;
const INTERVAL_MS = 2000;
/** A restart that has not shown itself after this time is over. */
const RESTART_MS = 20_000;

/** Whole seconds until the cut ends; 0 when there is none. */
export function secondsLeft(cutUntil: string | null, skewMs: number, now: number): number {
  if (cutUntil === null) return 0;
  const end = Date.parse(cutUntil) + skewMs;
  return Number.isNaN(end) ? 0 : Math.max(0, Math.ceil((end - now) / 1000));
}

export const useLab = defineStore("lab", () => {
  const now = useNow();
  const state = shallowRef<LabState | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const busy = ref<"block_websocket" | "buffer_sse" | "cut" | "restart" | null>(null);
  const restartAskedAt = ref<number | null>(null);
  let timer: ReturnType<typeof setInterval> | null = null;

  /** On our clock. The cut begins just after its answer, and during it the server can't be asked. */
  const cutAskedUntil = ref(0);
  const cutLeft = computed(() => {
    const asked = Math.max(0, Math.ceil((cutAskedUntil.value - now.value) / 1000));
    return Math.max(asked, secondsLeft(state.value?.cut_until ?? null, serverSkew.ms, now.value));
  });
  const restarting = computed(() => restartAskedAt.value !== null || state.value?.restarting === true);

  async function load(): Promise<void> {
    try {
      state.value = await api.lab();
      error.value = null;
      if (restartAskedAt.value !== null && !state.value.restarting && Date.now() - restartAskedAt.value > 1500)
        restartAskedAt.value = null;
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
      if (restartAskedAt.value !== null && Date.now() - restartAskedAt.value > RESTART_MS) restartAskedAt.value = null;
    }
  }

  async function change(
    name: "block_websocket" | "buffer_sse" | "cut",
    body: Parameters<typeof api.setLab>[0],
  ): Promise<void> {
    busy.value = name;
    try {
      state.value = await api.setLab(body);
      if (body.cut_ms !== undefined) cutAskedUntil.value = Date.now() + body.cut_ms;
      error.value = null;
    } finally {
      busy.value = null;
    }
  }

  async function restart(): Promise<void> {
    busy.value = "restart";
    try {
      await api.restart();
      restartAskedAt.value = Date.now();
    } finally {
      busy.value = null;
    }
  }

  function open(): void {
    void load();
    timer ??= setInterval(() => void load(), INTERVAL_MS);
  }

  function close(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  }

  return { state, error, busy, cutLeft, restarting, load, change, restart, open, close };
});
