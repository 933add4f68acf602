/** The monitor's requests, apart from the poll that is measured (poller.ts). */
import { request, requestText } from "@/shared/api";
import type { Alerts, Host, Rows, Rule } from "./wire";

/** What the charts show. */
const FIELDS = [
  "cpu",
  "memory",
  "swap",
  "load1",
  "disk",
  "disk_read",
  "disk_written",
  "received",
  "sent",
  "process_cpu",
  "process_memory",
  "connections*",
  "events",
  "deliveries",
  "delivery_p50",
  "delivery_p99",
  "commit_p50",
  "commit_p99",
  "slow_readers",
  "core:*",
  "disk:*",
];

export const monitorApi = {
  /** The newest sample as the text that came. */
  newestText: (host: string | null) => requestText(sampleUrl(host)),
  hosts: () => request<{ hosts: Host[] }>("/api/performance/hosts"),
  history: (host: string | null, from: number, to: number) => {
    const query = new URLSearchParams({
      from: String(Math.floor(from)),
      to: String(Math.ceil(to)),
      fields: FIELDS.join(","),
    });
    if (host !== null) query.set("host", host);
    return request<Rows>(`/api/performance/history?${query}`);
  },
  alerts: () => request<Alerts>("/api/performance/alerts"),
  setRules: (rules: Rule[]) => request<Alerts>("/api/performance/alerts", { method: "PUT", body: { rules } }),
  forget: (host: string) =>
    request<unknown>(`/api/performance/hosts/${encodeURIComponent(host)}`, { method: "DELETE" }),
};

export function sampleUrl(host: string | null): string {
  return host === null ? "/api/performance" : `/api/performance?host=${encodeURIComponent(host)}`;
}
