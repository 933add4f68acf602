/**
 * Who uses this page, and what they may do. The session itself is a cookie that no script sees.
 *
 * Invariant: while it is not known who somebody is, nothing is hidden from them: the server decides.
 */
import { defineStore } from "pinia";
import { type ComputedRef, computed, shallowRef } from "vue";
import { ApiError, request, whenUnauthorized } from "@/shared/api";
import type { Me } from "@/shared/wire";
import { showsNothing } from "./ways";

/** How long the page waits before its first picture to know who asks. */
const FIRST_MS = 4000;

const jsonless = (path: string) => request<unknown>(path, { method: "POST" });

export const useSession = defineStore("session", () => {
  const me = shallowRef<Me | null>(null);
  let asked: Promise<void> | null = null;
  let leaving = false;
  let onEnd: () => void = () => undefined;

  /** Whether somebody is needed, and nobody has signed in. */
  const signedOut = computed(
    () => me.value !== null && !me.value.open && me.value.user === null && showsNothing(me.value.grants),
  );
  /** The name of whoever has signed in with a password. */
  const name = computed(() => (me.value?.session ? (me.value.name ?? null) : null));

  function may(grant: string): boolean {
    return me.value === null || me.value.grants.includes("*") || me.value.grants.includes(grant);
  }

  /** The same for a component that follows it. */
  function mayRef(grant: string): ComputedRef<boolean> {
    return computed(() => may(grant));
  }

  /** Asks the server who this is. What it does not answer leaves things as they are. */
  function load(): Promise<void> {
    asked ??= request<Me>("/api/access/me", { timeoutMs: FIRST_MS })
      .then(
        (answer) => {
          me.value = answer;
        },
        () => undefined,
      )
      .finally(() => (asked = null));
    return asked;
  }

  /**
   * Asks again after the server has refused something; whoever is signed out hears of it. Answers whether
   * somebody is still signed in.
   */
  async function check(): Promise<boolean> {
    const before = me.value;
    if (before === null || before.open || leaving) return false;
    await load();
    if (signedOut.value && before.user !== null) onEnd();
    return me.value?.session != null;
  }

  async function signIn(user: string, password: string): Promise<void> {
    me.value = await request<Me>("/api/access/sign-in", { method: "POST", body: { name: user, password } });
  }

  async function signOut(everywhere = false): Promise<void> {
    // What ends now ends because it was wanted.
    leaving = true;
    try {
      await jsonless(everywhere ? "/api/access/sign-out-everywhere" : "/api/access/sign-out");
    } catch (error) {
      // It was over already.
      if (error instanceof ApiError && error.status === 401) return;
      leaving = false;
      throw error;
    }
  }

  async function setPassword(old: string, fresh: string): Promise<void> {
    await request<unknown>("/api/access/password", { method: "PUT", body: { old, new: fresh } });
  }

  /** What happens when a session has ended under way. */
  function whenEnded(listener: () => void): void {
    onEnd = listener;
  }

  whenUnauthorized(() => void check());

  return { me, signedOut, name, may, mayRef, load, check, signIn, signOut, setPassword, whenEnded };
});
