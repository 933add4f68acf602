/**
 * The proof: this page publishes numbers and follows them itself, through whatever the lab does to the network.
 *
 * Invariants:
 * - it follows from a cursor taken before the first number is published, so the first numbers count too;
 * - it goes on while the person looks at other pages.
 */
import { defineStore } from "pinia";
import { computed, ref, shallowRef, watch } from "vue";
import { request } from "@/shared/api";
import { newId, shortId } from "@/shared/ids";
import { useLive } from "@/shared/liveStore";
import { type Batch, Publisher } from "./publisher";
import { SequenceCounter, type SequenceCounts } from "./sequence";
import { type Carrier, type Stretch, Timeline } from "./timeline";

const INTERVAL_MS = 200;
/** After the last acknowledgement, events have this long to arrive before they count as missing. */
const SETTLE_MS = 30_000;

export type ProofPhase = "idle" | "starting" | "running" | "settling" | "settled";

export const useProof = defineStore("proof", () => {
  const live = useLive();
  const phase = ref<ProofPhase>("idle");
  const channel = ref(`lab_${shortId()}`);
  const counts = shallowRef<SequenceCounts>(new SequenceCounter().counts);
  const queued = ref(0);
  const gaps = ref(0);
  const failure = ref<string | null>(null);
  const stretches = shallowRef<readonly Stretch[]>([]);
  let counter = new SequenceCounter();
  let timeline = new Timeline();
  let publisher: Publisher | null = null;
  let release: (() => void) | null = null;
  let run = 0;

  const carrier = computed<Carrier>(() => (live.status.state === "live" && live.status.transport ? live.status.transport : "down"));
  const active = computed(() => phase.value === "running" || phase.value === "settling");

  watch(carrier, (next) => {
    if (active.value) mark(next);
  });

  function mark(next: Carrier): void {
    timeline.change(next, Date.now());
    stretches.value = [...timeline.stretches];
  }

  function refresh(): void {
    counts.value = counter.counts;
    queued.value = publisher?.waiting ?? 0;
    stretches.value = [...timeline.stretches];
  }

  async function start(): Promise<void> {
    if (active.value || phase.value === "starting") return;
    reset();
    phase.value = "starting";
    const mine = run;
    const after = await beginning(channel.value, () => mine === run);
    if (mine !== run) return;
    release = live.follow({
      channel: channel.value,
      after,
      onEvent: (event) => {
        counter.receive(numberOf(event.data));
        timeline.countEvent();
        refresh();
      },
      onGap: () => (gaps.value += 1),
    });
    publisher = new Publisher({
      send: (batch) => publish(channel.value, batch),
      newKey: newId,
      onAcknowledged: (last) => {
        counter.acknowledge(last);
        failure.value = null;
        refresh();
      },
      onFailure: (cause) => {
        failure.value = cause instanceof Error ? cause.message : String(cause);
        refresh();
      },
      intervalMs: INTERVAL_MS,
    });
    phase.value = "running";
    mark(carrier.value);
    publisher.start();
  }

  /** Publishes no more, waits for what is under way, then judges. */
  async function stop(): Promise<void> {
    if (phase.value !== "running" || !publisher) return;
    const mine = run;
    phase.value = "settling";
    await publisher.stop();
    const end = Date.now() + SETTLE_MS;
    while (mine === run && counter.counts.onTheWay > 0 && Date.now() < end) await pause(100);
    // A repeated event would come right behind the last one.
    await pause(1000);
    if (mine !== run) return;
    counter.settle();
    mark("down");
    refresh();
    release?.();
    release = null;
    phase.value = "settled";
  }

  function reset(): void {
    run += 1;
    release?.();
    release = null;
    void publisher?.stop();
    publisher = null;
    counter = new SequenceCounter();
    timeline = new Timeline();
    channel.value = `lab_${shortId()}`;
    gaps.value = 0;
    failure.value = null;
    phase.value = "idle";
    refresh();
  }

  return { phase, channel, counts, queued, gaps, failure, stretches, carrier, active, start, stop, reset };
});

/** The cursor to follow from; asks until the server answers. */
async function beginning(channel: string, wanted: () => boolean): Promise<string | undefined> {
  while (wanted()) {
    try {
      const answer = await request<{ cursor: string }>(`/anywire/poll?channels=${channel}`);
      return answer.cursor;
    } catch {
      await pause(1000);
    }
  }
  return undefined;
}

async function publish(channel: string, batch: Batch): Promise<void> {
  const events = [];
  for (let n = batch.first; n <= batch.last; n += 1) events.push({ channel, event: "number", data: { n } });
  await request("/anywire/publish", {
    method: "POST",
    body: { events },
    headers: { "Idempotency-Key": batch.key },
    timeoutMs: 5000,
  });
}

function numberOf(data: unknown): number {
  return typeof data === "object" && data !== null && "n" in data ? Number(data.n) : Number.NaN;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
