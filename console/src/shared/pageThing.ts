/** What the page is about beside its kind, such as a job's title: the first words of the tab's title. */
import { onScopeDispose, type Ref, readonly, ref, watch } from "vue";

const thing = ref("");

/** For the frame around the pages. */
export const pageThing = readonly(thing);

/** Names what this page is about, for as long as it is there. */
export function nameThing(name: Readonly<Ref<string>>): void {
  watch(name, () => (thing.value = name.value), { immediate: true });
  onScopeDispose(() => (thing.value = ""));
}
