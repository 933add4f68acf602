/** The shapes of docs/http-api.md, "Performance", as the console reads them. */
import type { Percentiles } from "@/shared/wire";

export interface Disk {
  mount: string;
  total: number;
  used: number;
  read_per_second: number | null;
  written_per_second: number | null;
}

export interface DeliveryFigures {
  connections: Record<string, number>;
  events_total: number;
  events_per_second: number;
  bytes_per_second: number;
  deliveries_total: number;
  deliveries_per_second: number;
  delivery_latency_ms: Percentiles;
  commit_latency_ms: Percentiles;
  resumes_total: number;
  gaps_total: number;
  slow_readers: number;
}

export interface Sample {
  time: string;
  interval_ms: number;
  cpu: { percent: number; cores: number[] };
  load: [number, number, number];
  memory: { total: number; used: number; available: number; swap_total: number; swap_used: number };
  disks: Disk[];
  network: { received_per_second: number; sent_per_second: number } | null;
  process: { cpu_percent: number; memory: number; threads: number | null; open_files: number | null; uptime_s: number };
  uptime_s: number;
  delivery: DeliveryFigures | null;
  memory_per_connection: number | null;
}

export interface HostSample extends Sample {
  host: string;
  cursor: string;
}

export interface Host {
  host: string;
  own: boolean;
  channel: string;
  interval_ms: number | null;
  time: string | null;
  stale: boolean;
  cpu: number | null;
  memory: number | null;
  since: string | null;
}

export interface Rows {
  host: string;
  cursor: string;
  step_ms: number;
  fields: string[];
  samples: (number | null)[][];
}

export interface Rule {
  id: string;
  figure: string;
  side: "above" | "below";
  raise: number;
  clear: number;
  for_s: number;
  enabled: boolean;
}

export interface Alert {
  state: "raised" | "cleared";
  host: string;
  rule: string;
  figure: string;
  side: "above" | "below";
  value: number;
  threshold: number;
  since: string;
  at: string;
}

export interface Alerts {
  channel: string;
  /** From here the channel goes on. */
  cursor: string;
  webhook: boolean;
  rules: Rule[];
  active: Alert[];
  recent: Alert[];
}
