/**
 * One tab stop for a long list: arrows, Page Up and Down, Home and End move within it. Without it a keyboard
 * user would tab through every row.
 */
import { computed, nextTick, type Ref, ref } from "vue";

/** Rows that a page is long. */
const PAGE = 10;

/** Where a key leads from `at` in a list of `length` rows; null if it is no key of ours. */
export function targetOf(key: string, at: number, length: number): number | null {
  const moves: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + PAGE,
    PageUp: at - PAGE,
    Home: 0,
    End: length - 1,
  };
  const wanted = moves[key];
  return wanted === undefined || length === 0 ? null : Math.min(length - 1, Math.max(0, wanted));
}

interface RovingOptions {
  /** The keys of all rows, in order. */
  keys: Ref<readonly string[]>;
  /** The keys of those in the page. */
  shown: Ref<readonly string[]>;
  scrollTo: (index: number) => void;
  focus: (key: string) => void;
}

export function useRoving({ keys, shown, scrollTo, focus }: RovingOptions) {
  const chosen = ref<string | null>(null);
  /** The row that Tab leads to: the last one that had the focus, or else the first that is in the page. */
  const stop = computed(() =>
    chosen.value !== null && shown.value.includes(chosen.value) ? chosen.value : (shown.value[0] ?? null),
  );

  async function onKey(event: KeyboardEvent): Promise<void> {
    const { key, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const at = keys.value.indexOf(stop.value ?? "");
    const to = targetOf(key, at, keys.value.length);
    const next = to === null ? undefined : keys.value[to];
    if (to === null || next === undefined) return;
    event.preventDefault();
    if (!shown.value.includes(next)) scrollTo(to);
    chosen.value = next;
    await nextTick();
    focus(next);
  }

  return { stop, onKey, choose: (key: string) => (chosen.value = key) };
}
