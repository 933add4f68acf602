/**
 * How long a page's main thread was held up, in processor time: what else the machine does meanwhile is not
 * in it.
 */
import type { Browser, Page } from "playwright-core";

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly args?: { readonly name?: string };
  /** Processor time, in microseconds. */
  readonly tdur?: number;
}

/** The longest task on the main thread of any page while `act` runs, in milliseconds of processor time. */
export async function longestTask(browser: Browser, page: Page, act: () => Promise<void>): Promise<number> {
  await browser.startTracing(page, {
    categories: ["__metadata", "toplevel", "disabled-by-default-devtools.timeline"],
  });
  await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
    traceEvents: TraceEvent[];
  };
  const main = new Set(
    traceEvents
      .filter((event) => event.name === "thread_name" && event.args?.name === "CrRendererMain")
      .map((event) => `${event.pid} ${event.tid}`),
  );
  const tasks = traceEvents.filter(
    (event) => event.name.endsWith("RunTask") && main.has(`${event.pid} ${event.tid}`) && event.tdur,
  );
  if (tasks.length === 0) throw new Error("the trace has no task of a page");
  return Math.max(...tasks.map((task) => (task.tdur ?? 0) / 1000));
}
