/** Loading that tries again by itself where that can help. */
import { ref, shallowRef } from "vue";
import { ApiError } from "@/shared/api";

const RETRY_MS = 3000;

export function loadingOf(work: () => Promise<void>) {
  const loaded = ref(false);
  const loading = ref(false);
  const error = shallowRef<ApiError | null>(null);
  let again: ReturnType<typeof setTimeout> | undefined;
  let wanted = false;

  async function load(): Promise<void> {
    wanted = true;
    clearTimeout(again);
    loading.value = true;
    try {
      await work();
      error.value = null;
      loaded.value = true;
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
      if (wanted && error.value.transient) again = setTimeout(() => void load(), RETRY_MS);
    } finally {
      loading.value = false;
    }
  }

  /** What is under way still ends, and is not begun again. */
  function stopLoading(): void {
    wanted = false;
    clearTimeout(again);
  }

  return { loaded, loading, error, load, stopLoading };
}
