import { describe, expect, it } from "vitest";
import { AlertBook, withTurn } from "./alerts";
import type { Alert, Alerts } from "./wire";

function turn(host: string, state: Alert["state"], second: number): Alert {
  const at = `2026-01-23T10:00:${String(second).padStart(2, "0")}.000Z`;
  return { state, host, rule: "cpu", figure: "cpu", side: "above", value: 97, threshold: 90, since: at, at };
}

function answer(offset: number, ...recent: Alert[]): Alerts {
  const active = recent.filter((one) => one.state === "raised");
  return { channel: "performance:alerts", cursor: `1f0c93ab-${offset}`, webhook: false, rules: [], active, recent };
}

const at = (offset: number) => `1f0c93ab-${offset}`;
const standing = (book: AlertBook) => book.alerts?.active.map((alert) => alert.host);

describe("alerts", () => {
  it("stand when they are raised and are past when they are cleared", () => {
    const raised = withTurn(answer(1), turn("web-1", "raised", 1));
    expect(raised.active).toHaveLength(1);
    const cleared = withTurn(raised, turn("web-1", "cleared", 9));
    expect(cleared.active).toEqual([]);
    expect(cleared.recent.map((alert) => alert.state)).toEqual(["cleared", "raised"]);
  });

  it("count once, also those that the answer has and the channel tells again", () => {
    const alert = turn("web-1", "raised", 1);
    const alerts = answer(1, alert);
    expect(withTurn(alerts, alert)).toBe(alerts);
  });

  it("of an answer that is older than what was told meanwhile do not undo it", () => {
    const book = new AlertBook();
    book.answered(answer(1));
    book.tell(turn("web-1", "raised", 1), at(5));
    book.answered(answer(4));
    expect(standing(book)).toEqual(["web-1"]);
  });

  it("of a newer answer stand as it says", () => {
    const book = new AlertBook();
    book.answered(answer(1));
    book.tell(turn("web-1", "raised", 1), at(5));
    book.answered(answer(5));
    expect(standing(book)).toEqual([]);
  });

  it("of another log say nothing about this one", () => {
    const book = new AlertBook();
    book.tell(turn("web-1", "raised", 1), "00000001-7");
    book.answered(answer(1));
    expect(standing(book)).toEqual([]);
  });
});
