/** `/api/delivery/clients` every two seconds while the page is seen; one request at a time. */
import { onScopeDispose, ref, shallowRef } from "vue";
import { ApiError, api } from "@/shared/api";
import type { DeliveryClients } from "@/shared/wire";

const INTERVAL_MS = 2000;

export function useClients() {
  const answer = shallowRef<DeliveryClients | null>(null);
  const answeredAt = ref<number | null>(null);
  const error = shallowRef<ApiError | null>(null);
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

  return { answer, answeredAt, error, load };
}
