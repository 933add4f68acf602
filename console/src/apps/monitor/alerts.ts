/**
 * Alerts as they are known: an answer of the server, and what its channel told since.
 *
 * An answer says from which cursor the channel goes on. An alert that turned at that moment is in the answer
 * and told once more; an answer may also be older than what was told while it was on its way. So what was
 * told is kept beside it, until an answer is newer.
 */
import { distance } from "@/shared/cursor";
import type { LiveEvent } from "@/shared/live";
import type { Alert, Alerts } from "./wire";

export const RECENT_MAX = 50;

type Told = Pick<LiveEvent, "cursor"> & { alert: Alert };

/** The same alerts after one more turn; unchanged if they know it already. */
export function withTurn(alerts: Alerts, alert: Alert): Alerts {
  if (alerts.recent.some((one) => isSame(one, alert))) return alerts;
  const others = alerts.active.filter((one) => one.host !== alert.host || one.rule !== alert.rule);
  const active = alert.state === "raised" ? [...others, alert] : others;
  return { ...alerts, active, recent: [alert, ...alerts.recent].slice(0, RECENT_MAX) };
}

function isSame(a: Alert, b: Alert): boolean {
  return a.host === b.host && a.rule === b.rule && a.state === b.state && a.at === b.at;
}

export class AlertBook {
  #told: Told[] = [];
  #alerts: Alerts | null = null;

  get alerts(): Alerts | null {
    return this.#alerts;
  }

  answered(answer: Alerts): void {
    this.#told = this.#told.filter(({ cursor }) => (distance(cursor, answer.cursor) ?? 0) > 0);
    this.#alerts = this.#told.reduce((all, { alert }) => withTurn(all, alert), answer);
  }

  tell(alert: Alert, cursor: string): void {
    this.#told = [...this.#told, { alert, cursor }].slice(-RECENT_MAX);
    if (this.#alerts) this.#alerts = withTurn(this.#alerts, alert);
  }
}
