/**
 * Alerts: those that stand, the rules behind them, and browser notifications when one is raised or ends.
 *
 * Invariant: the channel is followed from the cursor of the first answer, so no alert falls between reading
 * them and subscribing.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { useNotify } from "@/apps/jobs/notifyStore";
import { ApiError } from "@/shared/api";
import type { LiveEvent } from "@/shared/live";
import { useLive } from "@/shared/liveStore";
import { AlertBook } from "./alerts";
import { monitorApi } from "./api";
import type { Alert, Alerts, Rule } from "./wire";

const RETRY_MS = 3000;

export const useAlerts = defineStore("monitorAlerts", () => {
  const live = useLive();
  const notify = useNotify();
  const book = new AlertBook();
  const alerts = shallowRef<Alerts | null>(null);
  /** How many alerts stand. */
  const standing = computed(() => alerts.value?.active.length ?? 0);
  const error = shallowRef<ApiError | null>(null);
  const saving = ref(false);
  let following = false;
  let again: ReturnType<typeof setTimeout> | undefined;
  let describe: (alert: Alert) => { title: string; body: string } = (alert) => ({
    title: alert.rule,
    body: alert.host,
  });
  let show: () => void = () => undefined;

  async function load(): Promise<void> {
    clearTimeout(again);
    try {
      answered(await monitorApi.alerts());
    } catch (cause) {
      failed(cause);
      if (error.value?.transient) again = setTimeout(() => void load(), RETRY_MS);
    }
  }

  function answered(answer: Alerts): void {
    book.answered(answer);
    alerts.value = book.alerts;
    error.value = null;
    follow(answer);
  }

  function failed(cause: unknown): void {
    error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
  }

  function follow({ channel, cursor }: Alerts): void {
    if (following) return;
    following = true;
    live.follow({ channel, after: cursor, onEvent: take, onGap: () => void load() });
  }

  function take(event: LiveEvent): void {
    const alert = event.data as Alert;
    book.tell(alert, event.cursor);
    alerts.value = book.alerts;
    notify.notify({ ...describe(alert), tag: `anywire-alert-${alert.host}-${alert.rule}` }, show);
  }

  /** Answers whether the rules hold now. */
  async function save(rules: Rule[]): Promise<boolean> {
    saving.value = true;
    try {
      answered(await monitorApi.setRules(rules));
      return true;
    } catch (cause) {
      failed(cause);
      return false;
    } finally {
      saving.value = false;
    }
  }

  /**
   * Begins to follow; `words` describe an alert in the current language, `open` shows it. Later calls only
   * load anew.
   */
  function start(words: typeof describe, open: () => void): void {
    describe = words;
    show = open;
    void load();
  }

  return { alerts, standing, error, saving, load, save, start };
});
