import { describe, expect, it } from "vitest";
import type { DeliveryClient } from "@/shared/wire";
import { countByTransport, describeNamespaces, orderClients, rowKeys } from "./clients";
import { secondsLeft } from "./labStore";

function client(
  name: string,
  connectedAt: string,
  transport: DeliveryClient["transport"] = "websocket",
): DeliveryClient {
  return {
    client: name,
    transport,
    address: "127.0.0.1",
    user: null,
    channels: ["a"],
    cursor: "1f0c93ab-1",
    acked: null,
    lag: 0,
    state: "live",
    connected_at: connectedAt,
    resumes: 0,
    gaps: 0,
    delivered: 0,
    bytes: 0,
    carrier: null,
    namespaces: [],
  };
}

const early = "2026-01-23T10:00:00.000Z";
const late = "2026-01-23T10:05:00.000Z";

describe("the table of clients", () => {
  it("has this page first and then the oldest, so that rows keep their places", () => {
    const ordered = orderClients(
      [client("b", late), client("own", late), client("c", early), client("a", late)],
      "own",
    );
    expect(ordered.map((row) => row.client)).toEqual(["own", "c", "a", "b"]);
  });

  it("says of a Socket.IO client which rooms it has in which namespace", () => {
    const namespaces = [
      { name: "/", socket: "s1", user: null, rooms: ["a", "b"] },
      { name: "/chat", socket: "s2", user: null, rooms: [] },
    ];
    const described = describeNamespaces({ ...client("a", early, "socketio"), carrier: "polling", namespaces });
    expect(described).toBe("/ (s1): a, b\n/chat (s2): –");
  });

  it("tells two rows of one name apart", () => {
    expect(rowKeys([client("a", early), client("b", early), client("a", late)])).toEqual(["a", "b", "a 1"]);
  });

  it("counts clients by transport", () => {
    const counts = countByTransport([client("a", early), client("b", early, "sse"), client("c", early)]);
    expect(Object.fromEntries(counts)).toEqual({ websocket: 2, sse: 1 });
  });
});

describe("the count-down of a cut", () => {
  const now = Date.parse(early);
  it("counts whole seconds on our clock", () => {
    expect(secondsLeft("2026-01-23T10:00:09.200Z", 0, now)).toBe(10);
    expect(secondsLeft("2026-01-23T10:00:09.200Z", -5000, now)).toBe(5);
  });

  it("is over when the time has passed or there is none", () => {
    expect(secondsLeft(early, 0, now + 1)).toBe(0);
    expect(secondsLeft(null, 0, now)).toBe(0);
  });
});
