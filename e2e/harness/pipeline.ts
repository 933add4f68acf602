/** The pipeline's API as tests ask it. */
import type { Page } from "playwright-core";
import { json } from "../../testing/http.mjs";
import type { Server } from "../../testing/server.mjs";
import { until } from "../../testing/until.mjs";
import { byId } from "./browser.ts";

export interface Entry {
  readonly logId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly status: string;
  readonly error: string | null;
  readonly attempts: number;
}

export interface Counters {
  readonly totalMessages: number;
  readonly processedMessages: number;
  readonly failedMessages: number;
  readonly activeConsumers: number;
}

export interface PipelineState {
  readonly broker: { readonly kind: string; readonly state: string };
  readonly lag: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly committed: string | null;
    readonly end: string;
    readonly messages: number | null;
    readonly seconds: number | null;
  }[];
  readonly notices: readonly {
    readonly topic: string;
    readonly kind: string;
    readonly before: number | null;
    readonly now: number | null;
  }[];
}

const get = <T>(server: Server, path: string): Promise<T> => json<T>(server.url + path);

export const counters = (server: Server): Promise<Counters> => get(server, "/api/consumers/statistics");
export const state = (server: Server): Promise<PipelineState> => get(server, "/api/consumers/lag");
export const places = (entries: readonly Entry[]): string[] =>
  entries.map((entry) => `${entry.topic}/${entry.partition}/${entry.offset}`);

export async function logs(server: Server): Promise<Entry[]> {
  return (await get<{ logs: Entry[] }>(server, "/api/consumers/logs?limit=10000")).logs;
}

/** How far a group is, as Kafka's own tool writes it: committed, end and lag of each partition. */
export const lagLines = (state: PipelineState): string[] =>
  state.lag.map((one) => `${one.partition} ${one.committed ?? "-"} ${one.end} ${one.messages ?? "-"}`).sort();

/**
 * Every record that the page's list holds, from its top to its bottom: only those on screen are in the page,
 * so it is scrolled through.
 */
export async function listed(page: Page): Promise<string[]> {
  return byId(page, "record-rows").evaluate(async (list) => {
    const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const found = new Map<string, string>();
    // Less than what is drawn at once, with the rows above and below the screen.
    const step = list.clientHeight + 400;
    for (let top = 0; top < list.scrollHeight; top += step) {
      list.scrollTo({ top });
      await painted();
      for (const row of list.querySelectorAll<HTMLElement>('[data-testid="record"]')) {
        const status = row.querySelector<HTMLElement>("[data-status]")?.dataset.status ?? "";
        found.set(row.dataset.id ?? "", status);
      }
    }
    list.scrollTo({ top: 0 });
    return [...found].map(([id, status]) => `${id} ${status}`);
  });
}

export async function send(server: Server, value: unknown, topic = "test"): Promise<Response> {
  return fetch(`${server.url}/api/producers/send/single?topic=${topic}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });
}

/** The broker is up and the topic is there. */
export async function ready(server: Server, topic: string): Promise<void> {
  await until(`topic ${topic} is there`, async () => {
    const { topics } = await get<{ topics: { topic: string }[] }>(server, "/api/producers/topics");
    return topics.some((one) => one.topic === topic);
  });
}

export async function finished(server: Server, count: number): Promise<Counters> {
  return until(`${count} records are finished`, async () => {
    const now = await counters(server);
    return now.processedMessages + now.failedMessages >= count ? now : null;
  });
}
