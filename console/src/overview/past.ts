/**
 * The minutes before this page was opened, from the history that the Monitor keeps of this server.
 */
import type { Rows } from "@/apps/monitor/wire";
import { request } from "@/shared/api";
import { SERVED } from "@/shared/wire";
import { type Row, WINDOW_MS } from "./series";

/** The figures of each chart, in the order of its lines. */
export const PAST_FIGURES = {
  rates: ["deliveries", "events"],
  delivery: ["delivery_p50", "delivery_p99"],
  commit: ["commit_p50", "commit_p99"],
  connections: SERVED.map((name) => `connections_${name}`),
} as const;

/** Every sample of the window up to `to`, which is in the server's time. */
export function loadPast(to: number): Promise<Rows> {
  const fields = Object.values(PAST_FIGURES).flat().join(",");
  const query = new URLSearchParams({ from: String(to - WINDOW_MS), to: String(to), step: "1", fields });
  return request<Rows>(`/api/performance/history?${query}`);
}

/** The rows of one chart, on our clock. A figure that the server does not have is unknown. */
export function pastRows(answer: Rows, figures: readonly string[], skewMs: number): Row[] {
  const places = figures.map((name) => answer.fields.indexOf(name));
  return answer.samples.map((sample) => ({
    time: ((sample[0] ?? 0) + skewMs) / 1000,
    values: places.map((place) => sample[place] ?? null),
  }));
}
