import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useSession } from "@/access/sessionStore";
import type { LiveStatus } from "./live";
import { useLive } from "./liveStore";
import type { Me } from "./wire";

const reconnect = vi.fn();
let tell: (status: LiveStatus) => void = () => undefined;
const status = (state: LiveStatus["state"]): LiveStatus => ({
  transport: "websocket",
  state,
  lastEventAt: null,
  latencyMs: null,
  reconnects: 0,
  gaps: 0,
  retryAt: null,
  problem: null,
});
vi.mock("./live", () => ({
  connectLive: () => ({
    clientName: "tab",
    status: status("idle"),
    onStatus: (listener: typeof tell) => (tell = listener),
    reconnect,
  }),
}));

const vera: Me = {
  user: "account:1",
  name: "vera",
  roles: ["viewer"],
  grants: ["jobs:read"],
  expires_at: null,
  session: "s1",
  open: false,
  ways: ["password"],
  providers: [],
};
const nobody: Me = { ...vera, user: null, name: null, roles: [], grants: [], session: null };

/** The page of a server that says these, one after another, of who asks; the last one stays. */
async function page(...answers: Me[]) {
  const fetch = vi.fn(async () => new Response(JSON.stringify(answers.length > 1 ? answers.shift() : answers[0])));
  vi.stubGlobal("fetch", fetch);
  setActivePinia(createPinia());
  await useSession().load();
  useLive().open();
  return fetch;
}

beforeEach(() => void reconnect.mockClear());
afterEach(() => void vi.unstubAllGlobals());

describe("a connection that the server has ended for good", () => {
  it("begins anew where the session goes on with other rights", async () => {
    const fetch = await page(vera);
    tell(status("live"));
    tell(status("failed"));
    await vi.waitFor(() => expect(reconnect).toHaveBeenCalledTimes(1));
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it("is not tried over and over where it was refused at once", async () => {
    const fetch = await page(vera);
    tell(status("connecting"));
    tell(status("failed"));
    await vi.waitFor(() => expect(fetch).toHaveBeenCalledTimes(2));
    await new Promise((done) => setTimeout(done));
    expect(reconnect).not.toHaveBeenCalled();
  });

  it("stays ended where the session is over", async () => {
    await page(vera, nobody);
    const ended = vi.fn();
    useSession().whenEnded(ended);
    tell(status("live"));
    tell(status("failed"));
    await vi.waitFor(() => expect(ended).toHaveBeenCalledTimes(1));
    expect(reconnect).not.toHaveBeenCalled();
  });

  it("stays ended on a server that asks nobody, as it was", async () => {
    const fetch = await page({ ...nobody, open: true, grants: ["*"] });
    tell(status("live"));
    tell(status("failed"));
    await new Promise((done) => setTimeout(done));
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(reconnect).not.toHaveBeenCalled();
  });
});
