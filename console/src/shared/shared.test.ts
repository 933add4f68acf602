import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, request } from "./api";
import { SkewEstimate } from "./clock";
import { failureOf } from "./failure";
import { chooseLocale } from "./i18n";
import { messages as en } from "./i18n/en";
import { errors } from "./i18n/en.errors";
import { messages as vi_ } from "./i18n/vi";
import { errors as errorsVi } from "./i18n/vi.errors";
import { ICONS } from "./icons";
import { newId, shortId } from "./ids";
import { KeySequence } from "./shortcuts";
import { nextChoice } from "./theme";
import { shownState, toneOfState, transportColour, transportIcon } from "./transport";

afterEach(() => void vi.unstubAllGlobals());

function flatten(tree: object, path = ""): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") flat.set(`${path}${key}`, value);
    else for (const [inner, text] of flatten(value as object, `${path}${key}.`)) flat.set(inner, text);
  }
  return flat;
}

/** The codes that the API's description names, wherever it does. */
function describedCodes(described: unknown, found = new Set<string>()): Set<string> {
  if (typeof described !== "object" || described === null) return found;
  const { properties } = described as { properties?: { code?: { enum?: string[]; const?: string } } };
  for (const code of [...(properties?.code?.enum ?? []), properties?.code?.const ?? ""])
    if (code !== "") found.add(code);
  for (const inner of Object.values(described)) describedCodes(inner, found);
  return found;
}

describe("what went wrong", () => {
  const description = JSON.parse(readFileSync("../crates/server/api/openapi.json", "utf8"));
  /** Those that the console gives itself, where nothing of ours answered. */
  const own = ["network", "timeout", "unreachable", "http"];

  it("has words in both languages for every code of the description, and for no other", () => {
    const described = [...describedCodes(description), ...own].sort();
    expect(described.length).toBeGreaterThan(50);
    expect(Object.keys(errors).sort()).toEqual(described);
    expect(Object.keys(errorsVi).sort()).toEqual(described);
    for (const code of described)
      expect(errorsVi[code as keyof typeof errors], code).not.toBe(errors[code as keyof typeof errors]);
  });

  it("is said by its code, with the server's words as a detail", () => {
    const language = {
      t: (key: string, values?: Record<string, string>) =>
        (flatten(vi_).get(key) ?? key).replace("{message}", values?.message ?? ""),
      te: (key: string) => flatten(vi_).has(key),
    };
    const said = (cause: unknown) => failureOf(cause, language);
    expect(said(new ApiError("unknown_topic", 404, "there is no topic x"))).toEqual({
      text: "Không có topic này.",
      detail: "there is no topic x",
    });
    expect(said(new ApiError("timeout", 0, "signal timed out"))).toEqual({ text: errorsVi.timeout, detail: null });
    expect(said(new ApiError("newer", 409, "no"))).toEqual({ text: "Máy chủ trả lời: no", detail: null });
    expect(said(new Error("odd")).text).toContain("odd");
  });
});

describe("the two languages", () => {
  const english = flatten(en);
  const vietnamese = flatten(vi_);

  it("have the same texts", () => {
    expect([...vietnamese.keys()].sort()).toEqual([...english.keys()].sort());
  });

  it("fill in the same values", () => {
    const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
    for (const [key, text] of english) expect(holes(vietnamese.get(key) ?? ""), key).toEqual(holes(text));
  });

  it("are chosen by memory first and by the browser's list second", () => {
    expect(chooseLocale("vi", ["en-US"])).toBe("vi");
    expect(chooseLocale(null, ["fr-FR", "vi-VN", "en"])).toBe("vi");
    expect(chooseLocale("xx", ["fr"])).toBe("en");
  });
});

describe("a request", () => {
  const answer = (status: number, body: string) => vi.stubGlobal("fetch", async () => new Response(body, { status }));

  it("gives the body of an answer", async () => {
    answer(200, '{"total":3}');
    expect(await request("/api/x")).toEqual({ total: 3 });
  });

  it("fails with the server's code and words", async () => {
    answer(404, '{"code":"not_found","message":"no job 7"}');
    await expect(request("/api/x")).rejects.toMatchObject({
      code: "not_found",
      status: 404,
      message: "no job 7",
      transient: false,
    });
  });

  it("knows a proxy's error page from the server's error", async () => {
    answer(502, "<html>bad gateway</html>");
    await expect(request("/api/x")).rejects.toMatchObject({ code: "unreachable", status: 502, transient: true });
  });

  it("fails as network when nothing answers", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed to fetch")));
    await expect(request("/api/x")).rejects.toMatchObject({ code: "network", status: 0, transient: true });
    await expect(request("/api/x")).rejects.toBeInstanceOf(ApiError);
  });

  it("takes an answer of a status that the caller accepts", async () => {
    answer(503, '{"ready":false}');
    expect(await request("/api/health", { accept: [503] })).toEqual({ ready: false });
  });
});

describe("the server's clock", () => {
  it("is estimated by the fastest of the latest messages", () => {
    const skew = new SkewEstimate(3);
    const server = Date.parse("2026-01-23T10:00:00.000Z");
    for (const delay of [900, 120, 400]) skew.observe("2026-01-23T10:00:00.000Z", server + 5000 + delay);
    expect(skew.ms).toBe(5120);
    for (let n = 0; n < 3; n += 1) skew.observe("2026-01-23T10:00:00.000Z", server + 7000);
    expect(skew.ms).toBe(7000);
  });

  it("is ours until the server has said a time", () => {
    const skew = new SkewEstimate();
    skew.observe("not a time", 5);
    expect(skew.ms).toBe(0);
  });
});

describe("keyboard shortcuts", () => {
  const sequence = () => new KeySequence(["g o", "g j", "u", "?"]);

  it("are one key, or two in a row", () => {
    const keys = sequence();
    expect([keys.press("u", 0), keys.press("g", 100), keys.press("j", 300)]).toEqual(["u", null, "g j"]);
  });

  it("forget the first key after a pause", () => {
    const keys = sequence();
    keys.press("g", 0);
    expect(keys.press("o", 5000)).toBeNull();
  });

  it("let another key break a pair and stand for itself", () => {
    const keys = sequence();
    keys.press("g", 0);
    expect(keys.press("u", 100)).toBe("u");
    expect(keys.press("o", 200)).toBeNull();
  });
});

it("the theme goes round system, light, dark", () => {
  expect([nextChoice("auto"), nextChoice("light"), nextChoice("dark")]).toEqual(["light", "dark", "auto"]);
});

it("every transport has an icon and a colour of its own, and no transport looks like none of them", () => {
  const names = ["websocket", "sse", "longpoll", "poll", null];
  expect(new Set(names.map(transportIcon)).size).toBe(5);
  expect(new Set(names.map(transportColour)).size).toBe(5);
  for (const name of names) expect(ICONS[transportIcon(name)]).toBeTruthy();
});

it("only a live connection looks well, and a failed one looks bad", () => {
  expect(toneOfState("live")).toBe("ok");
  expect(toneOfState("reconnecting")).toBe("warn");
  expect(toneOfState("failed")).toBe("bad");
});

it("a connection that calls itself live and says nothing is shown as quiet", () => {
  expect(shownState("live", 500)).toBe("live");
  expect(shownState("live", 10_001)).toBe("quiet");
  expect(shownState("live", null)).toBe("live");
  expect(shownState("offline", 60_000)).toBe("offline");
  expect(toneOfState("quiet")).toBe("warn");
});

it("ids are UUIDs, also without a secure context", () => {
  const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(newId()).toMatch(pattern);
  vi.stubGlobal("crypto", { getRandomValues: (bytes: Uint8Array) => bytes.fill(171) });
  expect(newId()).toMatch(pattern);
  expect(shortId(6)).toMatch(/^[a-z2-9]{6}$/);
});
