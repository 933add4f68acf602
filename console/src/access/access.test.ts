import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { request } from "@/shared/api";
import type { Me } from "@/shared/wire";
import { useSession } from "./sessionStore";
import { showsNothing, wayBack } from "./ways";

const nobody: Me = {
  user: null,
  name: null,
  roles: [],
  grants: [],
  expires_at: null,
  session: null,
  open: false,
  ways: ["password"],
  providers: [],
};
const viewer: Me = {
  ...nobody,
  user: "account:1",
  name: "vera",
  roles: ["viewer"],
  grants: ["jobs:read"],
  session: "s1",
};

/** A server that answers with these, one after another. */
function answering(...answers: [status: number, body: unknown][]) {
  const fetch = vi.fn(async (_path: string, _init?: RequestInit) => {
    const [status, body] = answers.shift() ?? [500, { code: "internal", message: "asked too often" }];
    return new Response(status === 204 ? null : JSON.stringify(body), { status });
  });
  vi.stubGlobal("fetch", fetch);
  return fetch;
}

beforeEach(() => setActivePinia(createPinia()));
afterEach(() => void vi.unstubAllGlobals());

describe("who uses the page", () => {
  it("is nobody where the server asks who somebody is, and somebody after signing in", async () => {
    const fetch = answering([200, nobody], [200, viewer]);
    const session = useSession();
    await session.load();
    expect(session.signedOut).toBe(true);
    expect(session.may("jobs:read")).toBe(false);
    await session.signIn("vera", "correct horse");
    expect(session.signedOut).toBe(false);
    expect([session.name, session.may("jobs:read"), session.may("jobs:manage")]).toEqual(["vera", true, false]);
    const [path, init] = fetch.mock.calls[1] ?? [];
    expect([path, init?.body]).toEqual(["/api/access/sign-in", '{"name":"vera","password":"correct horse"}']);
  });

  it("may do everything on an open server, and where nothing is known", async () => {
    const session = useSession();
    expect(session.may("jobs:manage")).toBe(true);
    answering([200, { ...nobody, open: true, grants: ["*"], ways: [] }]);
    await session.load();
    expect([session.signedOut, session.name, session.may("jobs:manage")]).toEqual([false, null, true]);
  });

  it("goes on where the server does not say who it is", async () => {
    answering([404, { code: "not_found", message: "no such route" }]);
    const session = useSession();
    await session.load();
    expect([session.signedOut, session.may("jobs:read")]).toEqual([false, true]);
  });

  it("hears at the first refusal that the session has ended, and once", async () => {
    const session = useSession();
    const ended = vi.fn();
    session.whenEnded(ended);
    const refused: [number, unknown] = [401, { code: "unauthorized", message: "the session has ended" }];
    const fetch = answering([200, viewer], refused, [200, nobody], refused, [200, nobody]);
    await session.load();
    for (const asked of [3, 5]) {
      await expect(request("/api/jobs")).rejects.toMatchObject({ code: "unauthorized" });
      await vi.waitFor(() => expect(fetch).toHaveBeenCalledTimes(asked));
      await vi.waitFor(() => expect(session.signedOut).toBe(true));
    }
    expect(ended).toHaveBeenCalledTimes(1);
  });

  it("is signed out where the session was over already", async () => {
    answering(
      [401, { code: "unauthorized", message: "nobody is signed in here" }],
      [503, { code: "busy", message: "later" }],
    );
    const session = useSession();
    await session.signOut();
    await expect(session.signOut()).rejects.toMatchObject({ code: "busy" });
  });
});

describe("the way back", () => {
  it("leads to pages of this server only", () => {
    expect(wayBack("/jobs/a?x=1#y")).toBe("/jobs/a?x=1#y");
    for (const other of [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "javascript:alert(1)",
      "",
      null,
      ["/a"],
      "/sign-in?back=/",
      // Browsers drop tabs and ends of lines from an address, and dots from its path.
      "/\t/evil.example",
      "/\n\\evil.example",
      "/.//evil.example",
      "//",
    ])
      expect(wayBack(other), String(other)).toBe("/");
  });

  it("keeps pages whose names only begin as that of signing in", () => {
    expect(wayBack("/sign-ins")).toBe("/sign-ins");
  });

  it("is nowhere for whoever may only follow channels", () => {
    expect(showsNothing([])).toBe(true);
    expect(showsNothing(["subscribe:news_*", "publish:news_1"])).toBe(true);
    expect(showsNothing(["subscribe:news_*", "jobs:read"])).toBe(false);
  });
});
