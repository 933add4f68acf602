/**
 * Browser notifications when a report is ready, and for whoever else has something to say. Permission is
 * asked for only by a person's click ({@link enable}).
 */
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { useActivity } from "@/shared/activityStore";
import type { JobChanged } from "@/shared/wire";

const KEY = "anywire-notify";

export type NotifyState = "unsupported" | "off" | "on" | "denied";

export const useNotify = defineStore("notify", () => {
  const activity = useActivity();
  const supported = typeof Notification !== "undefined";
  const permission = ref<NotificationPermission>(supported ? Notification.permission : "denied");
  const wanted = ref(localStorage.getItem(KEY) === "on");
  let words: (change: JobChanged) => { title: string; body: string } = (change) => ({
    title: change.title,
    body: change.status,
  });
  let openJob: (id: string) => void = () => undefined;
  let watching = false;

  const state = computed<NotifyState>(() => {
    if (!supported) return "unsupported";
    if (permission.value === "denied") return "denied";
    return wanted.value && permission.value === "granted" ? "on" : "off";
  });

  async function enable(): Promise<void> {
    if (!supported) return;
    permission.value = await Notification.requestPermission();
    wanted.value = permission.value === "granted";
    localStorage.setItem(KEY, wanted.value ? "on" : "off");
  }

  function disable(): void {
    wanted.value = false;
    localStorage.setItem(KEY, "off");
  }

  /** Begins to watch jobs; `describe` gives the words in the current language, `open` shows the job. */
  function start(describe: typeof words, open: (id: string) => void): void {
    words = describe;
    openJob = open;
    if (watching) return;
    watching = true;
    activity.onJobChanged((change) => {
      if (state.value === "on" && (change.status === "succeeded" || change.status === "failed")) show(change);
    });
  }

  function show(change: JobChanged): void {
    notify({ ...words(change), tag: `anywire-${change.session_id}` }, () => openJob(change.session_id));
  }

  /** Says something if notifications are on; `open` is what a click leads to. */
  function notify({ title, body, tag }: { title: string; body: string; tag: string }, open: () => void): void {
    if (state.value !== "on") return;
    // The tag makes one notification of what several tabs say.
    const notification = new Notification(title, { body, tag, icon: "/favicon.svg" });
    notification.onclick = () => {
      window.focus();
      open();
      notification.close();
    };
  }

  return { state, enable, disable, start, notify };
});
