/** `/api/delivery/clients` every two seconds while the page is seen; one request at a time. */
import { computed, onScopeDispose, ref, shallowRef } from "vue";
import { ApiError, api } from "@/shared/api";
import { useNow } from "@/shared/clock";
import type { DeliveryClients } from "@/shared/wire";

const INTERVAL_MS = 2000;
/**
 * A list that was not renewed for two intervals is old, even when the request that should renew it has not
 * failed yet.
 */
const STALE_MS = 2 * INTERVAL_MS + 1000;

export function useClients() {
  const answer = shallowRef<DeliveryClients | null>(null);
  const answeredAt = ref<number | null>(null);
  const error = shallowRef<ApiError | null>(null);
  const now = useNow();
  const stale = computed(
    () => error.value !== null || (answeredAt.value !== null && now.value - answeredAt.value > STALE_MS),
  );
  let busy = false;

  async function load(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      answer.value = await api.clients();
      answeredAt.value = Date.now();
      error.value = null;
    } catch (cause) {
      error.value = cause instanceof ApiError ? cause : new ApiError("internal", 0, String(cause));
    } finally {
      busy = false;
    }
  }

  void load();
  const timer = setInterval(() => {
    if (document.visibilityState === "visible") void load();
  }, INTERVAL_MS);
  onScopeDispose(() => clearInterval(timer));

  return { answer, answeredAt, error, stale, load };
}
