/**
 * The proof on the page: the run that is shown. It goes on while the person looks at other pages.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef, watch } from "vue";
import { ApiError, api, request } from "@/shared/api";
import { newId, shortId } from "@/shared/ids";
import { useLive } from "@/shared/liveStore";
import { ProofRun } from "./proofRun";
import type { Batch } from "./publisher";
import { SequenceCounter, type SequenceCounts } from "./sequence";
import type { Carrier, Stretch } from "./timeline";

export type ProofPhase = "idle" | "starting" | "running" | "settling" | "settled";

export const useProof = defineStore("proof", () => {
  const live = useLive();
  const phase = ref<ProofPhase>("idle");
  const channel = ref(`lab_${shortId()}`);
  const counts = shallowRef<SequenceCounts>(new SequenceCounter().counts);
  const queued = ref(0);
  const gaps = ref(0);
  const failure = ref<string | null>(null);
  const refusal = shallowRef<Error | null>(null);
  const stretches = shallowRef<readonly Stretch[]>([]);
  let run: ProofRun | null = null;

  const carrier = computed<Carrier>(() => {
    const { state, transport } = live.status;
    return state === "live" && transport ? transport : "down";
  });
  const active = computed(() => phase.value === "running" || phase.value === "settling");
  watch(carrier, (next) => {
    if (active.value) run?.carriedBy(next);
  });

  function show(): void {
    if (!run) return;
    counts.value = run.counts;
    queued.value = run.queued;
    gaps.value = run.gaps;
    failure.value = run.failure;
    refusal.value = run.refusal;
    stretches.value = [...run.stretches];
    if (run.refusal !== null) void stop();
  }

  async function start(): Promise<void> {
    if (active.value || phase.value === "starting") return;
    run?.abandon();
    channel.value = `lab_${shortId()}`;
    run = new ProofRun(channel.value, { follow: live.follow, beginning, publish, newKey: newId, isRefusal }, show);
    phase.value = "starting";
    show();
    phase.value = (await run.start(() => carrier.value)) ? "running" : "settled";
  }

  async function stop(): Promise<void> {
    if (phase.value !== "running" || !run) return;
    phase.value = "settling";
    if (await run.settle()) phase.value = "settled";
  }

  /** Ends the wait for a server that does not take what is left. */
  function giveUp(): void {
    run?.giveUp();
  }

  return { phase, channel, counts, queued, gaps, failure, refusal, stretches, carrier, active, start, stop, giveUp };
});

/**
 * What another try can't change. Errors that nobody expected are bugs of ours, and no better the next time.
 */
function isRefusal(cause: unknown): boolean {
  return !(cause instanceof ApiError) || !cause.transient;
}

/** Any cursor of the log from before the first number will do: one cursor serves every channel. */
async function beginning(): Promise<string> {
  const { tail } = await api.overview();
  return tail;
}

async function publish(channel: string, batch: Batch): Promise<void> {
  const events = [];
  for (let n = batch.first; n <= batch.last; n += 1) events.push({ channel, event: "number", data: { n } });
  const headers = { "Idempotency-Key": batch.key };
  await request("/anywire/publish", { method: "POST", body: { events }, headers, timeoutMs: 5000 });
}
