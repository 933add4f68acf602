/**
 * Alerts: those that stand, the rules behind them, and browser notifications when one is raised or ends.
 */
import { defineStore } from "pinia";
import { ref, shallowRef } from "vue";
import { useNotify } from "@/apps/jobs/notifyStore";
import { ApiError } from "@/shared/api";
import { useLive } from "@/shared/liveStore";
import { monitorApi } from "./api";
import type { Alert, Alerts, Rule } from "./wire";

const RECENT_MAX = 50;

export const useAlerts = defineStore("monitorAlerts", () => {
  const live = useLive();
  const notify = useNotify();
  const alerts = shallowRef<Alerts | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const saving = ref(false);
  let following = false;
  let describe: (alert: Alert) => { title: string; body: string } = (alert) => ({
    title: alert.rule,
    body: alert.host,
  });
  let show: () => void = () => undefined;

  async function load(): Promise<void> {
    try {
      alerts.value = await monitorApi.alerts();
      error.value = null;
    } catch (cause) {
      if (cause instanceof ApiError) error.value = cause;
    }
  }

  function take(alert: Alert): void {
    const before = alerts.value;
    if (before) {
      const others = before.active.filter((one) => one.host !== alert.host || one.rule !== alert.rule);
      const active = alert.state === "raised" ? [...others, alert] : others;
      alerts.value = { ...before, active, recent: [alert, ...before.recent].slice(0, RECENT_MAX) };
    }
    notify.notify({ ...describe(alert), tag: `anywire-alert-${alert.host}-${alert.rule}` }, show);
  }

  /** Answers whether the rules hold now. */
  async function save(rules: Rule[]): Promise<boolean> {
    saving.value = true;
    try {
      alerts.value = await monitorApi.setRules(rules);
      error.value = null;
      return true;
    } catch (cause) {
      if (cause instanceof ApiError) error.value = cause;
      return false;
    } finally {
      saving.value = false;
    }
  }

  /** Begins to follow; `words` describe an alert in the current language, `open` shows it. Later calls only load anew. */
  function start(words: typeof describe, open: () => void): void {
    describe = words;
    show = open;
    void load();
    if (following) return;
    following = true;
    live.follow({
      channel: "performance:alerts",
      onEvent: (event) => take(event.data as Alert),
      onGap: () => void load(),
    });
  }

  return { alerts, error, saving, load, save, start };
});
