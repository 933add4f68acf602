/** The consumers, asked for when one came or went and once more when their group has settled. */
import { ref } from "vue";
import { pipelineApi } from "./pipelineApi";
import type { Consumer } from "./wire";

/** Consumers hold other partitions a moment after one came or went. */
const SETTLE_MS = 2500;

export function crewView() {
  const consumers = ref<Consumer[]>([]);
  let settling: ReturnType<typeof setTimeout> | undefined;

  async function ask(): Promise<void> {
    try {
      consumers.value = await pipelineApi.consumers();
    } catch {
      // The next change or refresh asks again.
    }
  }

  function settle(): void {
    clearTimeout(settling);
    void ask();
    settling = setTimeout(() => void ask(), SETTLE_MS);
  }

  return { consumers, settle, stop: () => clearTimeout(settling) };
}
