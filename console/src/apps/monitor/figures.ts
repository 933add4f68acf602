/**
 * Reads figures by name from a whole sample or from the brief array of the five-second stream. Pure.
 *
 * Invariant: what is not known is left out, never zero.
 */
import type { Sample } from "./wire";

export type Figures = Map<string, number>;

function put(figures: Figures, name: string, value: number | null | undefined): void {
  if (value !== null && value !== undefined && Number.isFinite(value)) figures.set(name, value);
}

const percent = (part: number, whole: number) => (whole > 0 ? (part / whole) * 100 : null);
const sum = (values: (number | null)[]) => {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((all, value) => all + value, 0);
};

/** The names are those of the server's history. */
export function figuresOf(sample: Sample): Figures {
  const figures: Figures = new Map();
  put(figures, "cpu", sample.cpu.percent);
  for (const [index, value] of sample.cpu.cores.entries()) put(figures, `core:${index}`, value);
  put(figures, "load1", sample.load[0]);
  put(figures, "memory", percent(sample.memory.used, sample.memory.total));
  put(figures, "swap", percent(sample.memory.swap_used, sample.memory.swap_total));
  put(figures, "disk", fullest(sample));
  for (const disk of sample.disks) put(figures, `disk:${disk.mount}`, percent(disk.used, disk.total));
  put(figures, "disk_read", sum(sample.disks.map((disk) => disk.read_per_second)));
  put(figures, "disk_written", sum(sample.disks.map((disk) => disk.written_per_second)));
  put(figures, "received", sample.network?.received_per_second);
  put(figures, "sent", sample.network?.sent_per_second);
  put(figures, "process_cpu", sample.process.cpu_percent);
  put(figures, "process_memory", sample.process.memory);
  put(figures, "memory_per_connection", sample.memory_per_connection);
  putDelivery(figures, sample);
  return figures;
}

function putDelivery(figures: Figures, { delivery }: Sample): void {
  if (!delivery) return;
  put(figures, "connections", sum(Object.values(delivery.connections)));
  for (const [name, value] of Object.entries(delivery.connections)) put(figures, `connections_${name}`, value);
  put(figures, "events", delivery.events_per_second);
  put(figures, "deliveries", delivery.deliveries_per_second);
  put(figures, "delivery_p50", delivery.delivery_latency_ms.p50);
  put(figures, "delivery_p99", delivery.delivery_latency_ms.p99);
  put(figures, "commit_p50", delivery.commit_latency_ms.p50);
  put(figures, "commit_p99", delivery.commit_latency_ms.p99);
  put(figures, "slow_readers", delivery.slow_readers);
  put(figures, "gaps", delivery.gaps_total);
}

export function fullest(sample: Sample): number | null {
  const parts = sample.disks.map((disk) => percent(disk.used, disk.total)).filter((value) => value !== null);
  return parts.length === 0 ? null : Math.max(...parts);
}

/** The order and units of `performance:5s`. */
const BRIEF: readonly (readonly [name: string, factor: number])[] = [
  ["cpu", 0.1],
  ["memory", 0.1],
  ["disk", 0.1],
  ["load1", 0.01],
  ["received", 1000],
  ["sent", 1000],
  ["process_memory", 1e6],
  ["connections", 1],
  ["events", 1],
  ["delivery_p99", 0.01],
];

export function figuresOfBrief(values: readonly unknown[]): Figures {
  const figures: Figures = new Map();
  for (const [index, [name, factor]] of BRIEF.entries()) {
    const value = values[index];
    if (typeof value === "number") put(figures, name, Number((value * factor).toPrecision(6)));
  }
  return figures;
}
