/**
 * Keyboard shortcuts: one key, or two in a row (`g` then `o`).
 *
 * Pure core ({@link KeySequence}) and a composable that listens. Keys typed into a field, or with Ctrl, Alt
 * or Meta, are ignored.
 */
import { onScopeDispose } from "vue";

export type Shortcuts = Record<string, () => void>;

const PAUSE_MS = 1200;

export class KeySequence {
  #pending = "";
  #pendingAt = 0;
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  /** The name of the shortcut that `key` completes, or null. */
  press(key: string, at: number): string | null {
    const pending = at - this.#pendingAt <= PAUSE_MS ? this.#pending : "";
    this.#pending = "";
    const pair = pending === "" ? "" : `${pending} ${key}`;
    if (pair !== "" && this.#names.includes(pair)) return pair;
    if (this.#names.some((name) => name.startsWith(`${key} `))) {
      this.#pending = key;
      this.#pendingAt = at;
      return null;
    }
    return this.#names.includes(key) ? key : null;
  }
}

export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

export function useShortcuts(shortcuts: Shortcuts): void {
  const sequence = new KeySequence(Object.keys(shortcuts));
  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
    const name = sequence.press(event.key, event.timeStamp);
    if (name === null) return;
    event.preventDefault();
    shortcuts[name]?.();
  };
  window.addEventListener("keydown", onKey);
  onScopeDispose(() => window.removeEventListener("keydown", onKey));
}
